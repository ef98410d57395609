package project

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPolicyFor(t *testing.T) {
	yes, no := true, false
	c := &Config{
		Defaults: Policy{Timeout: 20 * time.Second, Retry: Retry{Max: 5 * time.Second}, Idempotent: &yes, MaxQueue: 3,
			Breaker: Breaker{Probes: 2}, Budget: Budget{Duration: time.Hour}},
		Agents: map[string]Agent{"a": {
			Type: "x",
			Policy: Policy{Timeout: 10 * time.Second, Retry: Retry{Attempts: 5, Multiplier: 3}, ReadyWait: Off,
				Budget: Budget{Calls: 9}},
			Tools: map[string]Policy{"t": {Timeout: time.Second, Retry: Retry{Attempts: 2, Initial: time.Millisecond},
				Idempotent: &no, MaxInFlight: 7, Breaker: Breaker{Calls: Off}, Budget: Budget{Calls: Off}}},
		}},
	}
	some := Breaker{0.5, 10, 30 * time.Second, 15 * time.Second, 2}
	off := some
	off.Calls = Off
	for name, want := range map[string]Policy{
		"a.t":   {time.Second, Retry{2, time.Millisecond, 3, 5 * time.Second}, &no, 7, 3, Off, off, Budget{Calls: Off, Duration: time.Hour}},
		"a.u":   {10 * time.Second, Retry{5, 100 * time.Millisecond, 3, 5 * time.Second}, &yes, 0, 3, Off, some, Budget{Calls: 9, Duration: time.Hour}},
		"b.any": {20 * time.Second, Retry{3, 100 * time.Millisecond, 2, 5 * time.Second}, &yes, 0, 3, 10 * time.Second, some, Budget{Duration: time.Hour}},
	} {
		agent, tool, _ := strings.Cut(name, ".")
		if got := c.PolicyFor(agent, tool); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// TestDefaultsPerKind is the table of communicators: the default, and what is allowed.
func TestDefaultsPerKind(t *testing.T) {
	all := []string{OverLocal, OverPubSub, OverStdio, OverSSE, OverHTTP}
	for _, tc := range []struct {
		agent   Agent
		kind    Kind
		want    string
		allowed string
		child   bool
	}{
		{Agent{Type: "x"}, KindType, OverLocal, "local pubsub mcp-stdio mcp-sse mcp-http", false},
		{Agent{Type: "x", Communicator: OverStdio}, KindType, OverStdio,
			"local pubsub mcp-stdio mcp-sse mcp-http", true},
		{Agent{Command: []string{"x"}}, KindCommand, OverStdio, "mcp-stdio mcp-sse mcp-http", true},
		{Agent{URL: "http://x/sse"}, KindURL, OverSSE, "mcp-sse mcp-http", false},
		{Agent{URL: "http://x/a/sse/?q=1"}, KindURL, OverSSE, "mcp-sse mcp-http", false},
		{Agent{URL: "http://x/mcp"}, KindURL, OverHTTP, "mcp-sse mcp-http", false},
		{Agent{URL: "http://x"}, KindURL, OverHTTP, "mcp-sse mcp-http", false},
	} {
		t.Run(fmt.Sprintf("%s %s", tc.kind, tc.want), func(t *testing.T) {
			c := (&Config{Agents: map[string]Agent{"a": tc.agent}}).filled()
			a := c.Agents["a"]
			if a.Kind() != tc.kind || a.Communicator != tc.want || a.Child() != tc.child {
				t.Errorf("kind %s over %s, child %t", a.Kind(), a.Communicator, a.Child())
			}
			for _, word := range all {
				a := tc.agent
				a.Communicator = word
				err := (&Config{Agents: map[string]Agent{"a": a}}).Validate()
				if allowed := strings.Contains(" "+tc.allowed+" ", " "+word+" "); (err == nil) != allowed {
					t.Errorf("%s: %v, want allowed = %t", word, err, allowed)
				}
			}
		})
	}
}

// TestValidateGo: a Config made in Go is checked too, and its errors name the key.
func TestValidateGo(t *testing.T) {
	agents := map[string]Agent{"a": {Type: "x"}}
	for _, tc := range []struct {
		name   string
		config Config
		want   string // "" is valid
	}{
		{"the least", Config{Agents: agents}, ""},
		{"no agents", Config{}, "agents: the project has no agents; add one: agents: {NAME: {type: TYPE}}"},
		{"negative", Config{Agents: agents, Defaults: Policy{Timeout: -2}, Drain: Drain{Timeout: Off},
			MCP: MCP{MaxBody: Off, MaxCalls: -3}},
			"defaults.timeout: must be more than 0, not -2ns\nmcp.max_body: cannot be off\n" +
				"mcp.max_calls: must be more than 0, not -3\ndrain.timeout: cannot be off"},
		{"off", Config{Agents: agents, MCP: MCP{SessionIdle: Off, CommentInterval: Off, Resume: Off, Poll: Off}}, ""},
		{"not a number", Config{Agents: agents, Reconnect: Reconnect{Multiplier: math.NaN()}},
			"reconnect.multiplier: must be 1 to 1000, not NaN"},
		{"waits", Config{Agents: agents, Defaults: Policy{Retry: Retry{Initial: -1}},
			Reconnect: Reconnect{Max: time.Millisecond}},
			"defaults.retry.initial: cannot be off\nreconnect.max: 1ms is shorter than initial, 1s"},
		{"replicas", Config{Agents: map[string]Agent{"a": {Type: "x", Replicas: -1}}}, "agents.a.replicas: " +
			"must be 1 to 1024, not -1"},
		{"NUL", Config{Agents: map[string]Agent{"a": {Command: []string{"x", "a\x00"},
			Env: map[string]string{"A": "\x00"}}}},
			"agents.a.env.A: is not an environment variable\nagents.a.command[1]: contains a NUL character"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := tc.config.Validate(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
	if err := Default().Validate(); err == nil {
		t.Error("a project without agents is valid")
	}
	d := Default()
	if got := (&Config{}).filled(); !reflect.DeepEqual(got, d) {
		t.Errorf("what is filled in for nothing is not Default: %+v", got)
	}
}

// The wait between attempts has room to grow at each level, with what the level inherits.
func TestWaitsHaveRoomToGrow(t *testing.T) {
	const too = "retry.max: 1ms is shorter than initial, 1s"
	least, second := Policy{Retry: Retry{Max: time.Millisecond}}, Policy{Retry: Retry{Initial: time.Second}}
	both := Policy{Retry: Retry{Initial: time.Second, Max: time.Second}}
	for _, tt := range []struct {
		name               string
		level, agent, tool Policy
		want               string
	}{
		{"defaults", Policy{Retry: Retry{Initial: time.Second, Max: time.Millisecond}}, Policy{}, Policy{},
			"defaults." + too},
		{"agent, max", second, least, Policy{}, "agents.a." + too},
		{"agent, initial", Policy{Retry: Retry{Initial: time.Millisecond, Max: time.Millisecond}}, second, Policy{},
			"agents.a." + too},
		{"tool, max", Policy{}, second, least, "agents.a.tools.t." + too},
		{"tool, initial", Policy{}, Policy{Retry: Retry{Initial: 1, Max: time.Millisecond}}, second,
			"agents.a.tools.t." + too},
		{"equal", both, both, both, ""},
		{"each fits what it inherits", second, both, Policy{Retry: Retry{Initial: time.Millisecond}}, ""},
		{"no word about waits", Policy{}, Policy{}, Policy{Timeout: time.Second}, ""},
	} {
		c := &Config{Defaults: tt.level, Agents: map[string]Agent{"a": {Type: "x", Policy: tt.agent,
			Tools: map[string]Policy{"t": tt.tool}}}}
		got := ""
		if err := c.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"4MiB": 4 * MiB, "64 KiB": 64 * KiB, "1GiB": GiB, "1000": 1000,
		"1000B": 1000} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: %d, %v", text, s, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is printed as %q", text, s)
		}
	}
	for _, text := range []string{"", "MiB", "4MB", "-1", "0", "1.5MiB", "99999999999GiB", "x"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a size", text)
		}
	}
}

type fillTarget struct {
	Unit    string            `json:"unit"`
	Wait    time.Duration     `json:"wait,omitempty"`
	Port    uint16            `json:"port"`
	Ratio   float32           `json:"ratio"`
	On      *bool             `json:"on"`
	Names   []string          `json:"names"`
	Labels  map[string]string `json:"labels"`
	Any     any               `json:"any"`
	Addr    netip.Addr        `json:"addr"`
	Pair    [2]int            `json:"pair"`
	Nested  struct{ Depth int }
	Clock   func() time.Time
	private int    //nolint:unused // it must be left alone
	Hidden  string `json:"-"`
	fillBase
}

type fillBase struct {
	Root string `json:"root"`
}

func TestFill(t *testing.T) {
	on := true
	got := fillTarget{Unit: "C", Names: []string{"old", "older"}, Hidden: "kept"}
	err := Fill(&got, map[string]any{
		"wait": "3s", "port": "8080", "ratio": 2.0, "on": "true", "names": []any{"a"}, "root": "..",
		"labels": map[string]any{"k": "v"}, "any": []any{1, map[string]any{"x": nil}}, "addr": "10.0.0.1",
		"pair": []any{float64(1), int64(2)}, "nested": map[string]any{"depth": 3}, "unit": nil,
	})
	want := fillTarget{
		Unit: "C", Wait: 3 * time.Second, Port: 8080, Ratio: 2, On: &on, Names: []string{"a"},
		Labels: map[string]string{"k": "v"},
		Any:    []any{1, map[string]any{"x": nil}}, Addr: netip.MustParseAddr("10.0.0.1"), Pair: [2]int{1, 2},
		Nested: struct{ Depth int }{3}, Hidden: "kept", fillBase: fillBase{Root: ".."},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}

	for _, tc := range []struct {
		name   string
		target any
		config map[string]any
		want   string
	}{
		{"unknown", &fillTarget{}, map[string]any{"unti": "C", "clokc": 1, "Hidden": "x", "private": 1},
			`unknown key "Hidden"; known: Nested, addr, any, labels, names, on, pair, port, ratio, root, unit, wait`},
		{"types", &fillTarget{}, map[string]any{"unit": 5, "wait": 3, "port": 70000, "ratio": "hunter2000", "on": 1,
			"names": "a", "addr": "hunter2000", "pair": []any{1}, "nested": []any{}, "Clock": 1}, "" +
			"Clock: a func() time.Time cannot be set from a file\n" +
			"addr: the text is no valid addr\n" +
			"names: wants a list, not text; write [a, b]\n" +
			"nested: wants a mapping (\"key: value\" lines), not a list\n" +
			"on: wants true or false, not the number 1\n" +
			"pair: wants 2 items, not 1\n" +
			"port: the number 70000 is too large\n" +
			"ratio: wants a number, not text\n" +
			"unit: wants text, not the number 5; write it in quotes: \"5\"\n" +
			"wait: wants a duration with a unit, not the number 3; write a number and a unit: \"300ms\", \"3s\", \"5m\""},
		{"twice", &fillTarget{}, map[string]any{"unit": "C", "Unit": "F"},
			`"Unit" and "unit" are the same key; keep one`},
		{"not a struct", new(fillFunc), map[string]any{"a": 1}, "the agent is a project.fillFunc, which takes no " +
			"configuration"},
		{"not a struct, nothing to fill", new(fillFunc), nil, ""},
		{"nil", &fillTarget{}, nil, ""},
		{"not a pointer, and nothing to fill", fillTarget{}, nil, ""},
		{"not a pointer", fillTarget{}, map[string]any{"a": 1}, "fill a project.fillTarget: it is not a pointer to a " +
			"struct"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := Fill(tc.target, tc.config); err != nil {
				got = err.Error()
			}
			if first, _, _ := strings.Cut(got, "\n"); got != tc.want && !(tc.name == "unknown" && first == tc.want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

type fillFunc func()

// The tags that declare a key of the project file mean nothing in an agent's struct: they may be
// there for another library.
func TestFillLeavesTagsOfOthersAlone(t *testing.T) {
	var got struct {
		Port int    `json:"port" default:"http" min:"one" max:"all"`
		Mode string `json:"mode" off:"never" oneof:"fast slow" only:"admins"`
	}
	if err := Fill(&got, map[string]any{"port": 1, "mode": "off"}); err != nil || got.Port != 1 || got.Mode != "off" {
		t.Errorf("got %+v, %v", got, err)
	}
}
