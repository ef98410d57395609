package project

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLoadLayers sets one key in more and more layers: the latest wins, and its place is known.
func TestLoadLayers(t *testing.T) {
	project(t, map[string]string{
		"sub/p.yaml": "agents:\n  a:\n    type: x\n    config: {list: [1, 2], gone: 1}\n    timeout: 2s\ndrain: " +
			"{timeout: 2s}\ngateway: {}\n",
		"sub/p.prod.yaml": "agents:\n  a: {timeout: 3s, config: {list: [3], gone: null}}\n  b: {type: y}\n",
	})
	path := filepath.Join("sub", "p.yaml")
	env := []string{"OPENMAS_CONFIG__agents__a__timeout=4s", "OPENMAS_CONFIG__agents__a__config__n=[1, {x: y}]",
		"PATH=/bin", "OPENMAS_CONFIG__gateway=null"}
	for _, tc := range []struct {
		name    string
		opts    Options
		timeout time.Duration
		at      string
	}{
		{"file", Options{}, 2 * time.Second, path + ":5:14"},
		{"profile", Options{Profile: "prod"}, 3 * time.Second, filepath.Join("sub", "p.prod.yaml") + ":2:16"},
		{"environment", Options{Profile: "prod", Environ: env}, 4 * time.Second, "environment variable " +
			"OPENMAS_CONFIG__agents__a__timeout"},
		{"set", Options{Profile: "prod", Environ: env, Set: []string{"agents.a.timeout=5s"}}, 5 * time.Second,
			"--set agents.a.timeout"},
		{"the last set", Options{Set: []string{"agents.a.timeout=5s", "agents.a.timeout=6s"}}, 6 * time.Second,
			"--set agents.a.timeout"},
		{"reset", Options{Profile: "prod", Environ: env, Set: []string{"agents.a.timeout=null"}}, 0, "default"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := mustLoad(t, path, tc.opts)
			if got := c.Agents["a"].Timeout; got != tc.timeout {
				t.Errorf("timeout %v, want %v", got, tc.timeout)
			}
			if got := c.Position("agents", "a", "timeout").String(); got != tc.at {
				t.Errorf("at %s, want %s", got, tc.at)
			}
			if c.Drain.Timeout != 2*time.Second || c.Connect.Timeout != 10*time.Second {
				t.Errorf("drain %v, connect %v", c.Drain.Timeout, c.Connect.Timeout)
			}
		})
	}

	c := mustLoad(t, path, Options{Profile: "prod", Environ: env})
	want := map[string]any{"list": []any{int64(3)}, "n": []any{int64(1), map[string]any{"x": "y"}}}
	if got := c.Agents["a"].Config; !reflect.DeepEqual(got, want) {
		t.Errorf("config %#v, want %#v", got, want)
	}
	if c.Gateway != nil {
		t.Error("null in a layer did not take the gateway away")
	}
	if got := c.AgentNames(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("agents %v", got)
	}
	if wd, _ := os.Getwd(); c.Dir != filepath.Join(wd, "sub") || c.Path("x") != filepath.Join(wd, "sub", "x") {
		t.Errorf("dir %s, path %s", c.Dir, c.Path("x"))
	}
	if got := c.Position("agents", "a").String(); got != path+":2:3" {
		t.Errorf("agent at %s: a map stands where it was written first", got)
	}
}

// TestLayersThatMeet: a mapping over a value that is none, and the other way round; what a layer
// took back does not come again with the next.
func TestLayersThatMeet(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {type: x, retry: {attempts: 5, max: 20s}, tools: {t: " +
		"{timeout: 1s}}}\n  b: {type: y}\ngateway: {listen: \"127.0.0.1:1\", expose: [a]}\n"})
	for _, tc := range []struct {
		name string
		set  []string
		ok   func(c *Config) bool
	}{
		{"off over a mapping", []string{"agents.a.retry=off"}, func(c *Config) bool {
			return c.PolicyFor("a", "t").Retry.Attempts == 1 && c.PolicyFor("a", "t").Retry.Max == 10*time.Second
		}},
		{"a mapping over off", []string{"gateway=off", "gateway.expose=[b]"}, func(c *Config) bool {
			return c.Gateway.Listen == "127.0.0.1:8765" && slices.Equal(c.Gateway.Expose, []string{"b"})
		}},
		{"null, and then again", []string{"agents.a.tools=null", "agents.a.tools.u.timeout=2s"}, func(c *Config) bool {
			return len(c.Agents["a"].Tools) == 1 && c.Agents["a"].Tools["u"].Timeout == 2*time.Second
		}},
		{"an agent less", []string{"agents.b=null"}, func(c *Config) bool {
			return slices.Equal(c.AgentNames(), []string{"a"})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c := mustLoad(t, "p.yaml", Options{Set: tc.set}); !tc.ok(c) {
				t.Errorf("%+v, gateway %+v", c.Agents["a"], c.Gateway)
			}
		})
	}
}

// TestOff: whatever can be off says off, on every level, and only that.
func TestOff(t *testing.T) {
	project(t, map[string]string{"p.yaml": `agents:
  a: {type: x, critical: off, retry: {attempts: off}, tools: {t: {retry: off, idempotent: off}}}
defaults: {retry: off}
gateway: off
telemetry: off
mcp: {session_idle: off, session_lifetime: off, comment_interval: off, ping_interval: off,
      resume: off, poll: off, sampling: off, fast_path: off}
`})
	c := mustLoad(t, "p.yaml", Options{})
	a := c.Agents["a"]
	if a.Critical || a.Retry.Attempts != 1 || a.Tools["t"].Retry.Attempts != 1 || *a.Tools["t"].Idempotent ||
		c.Defaults.Retry.Attempts != 1 || c.Gateway != nil || c.Telemetry.Endpoint != "off" {
		t.Errorf("agent %+v, defaults %+v, gateway %+v, telemetry %+v", a, c.Defaults, c.Gateway, c.Telemetry)
	}
	m := c.MCP
	if m.SessionIdle != Off || m.SessionLifetime != Off || m.CommentInterval != Off ||
		m.PingInterval != Off || m.Resume != Off || m.Poll != Off || m.Sampling != "" || *m.FastPath {
		t.Errorf("mcp %+v", m)
	}
	for _, key := range []string{"defaults.timeout", "drain.timeout", "mcp.max_body", "agents.a.replicas"} {
		_, err := Load("p.yaml", Options{Environ: []string{}, Set: []string{key + "=off"}})
		if want := key + ": cannot be off; "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestSetIsTyped: where text is wanted the value is taken as it is, elsewhere it is YAML.
func TestSetIsTyped(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {command: [x]}\n"})
	c := mustLoad(t, "p.yaml", Options{Set: []string{
		"agents.a.env.PORT=8080",
		"agents.a.env.EMPTY=",
		"agents.a.env.HASH=a #b: c",
		`agents.a.env.QUOTED="8 0"`,
		"agents.a.env.HALF=\"x",
		"agents.a.env.BOOL=true",
		"agents.a.command=[python3, -m, server]",
		`agents.a.tools."docs.search".retry.attempts=7`,
		`agents.a.tools."docs.search".idempotent=false`,
		"mcp.max_body=2MiB",
		"mcp.max_frame=4096",
		"mcp.fast_path=false",
		"gateway={}",
		"defaults.retry.multiplier=3",
	}})
	a := c.Agents["a"]
	wantEnv := map[string]string{"PORT": "8080", "EMPTY": "", "HASH": "a #b: c", "QUOTED": "8 0", "HALF": `"x`,
		"BOOL": "true"}
	if !reflect.DeepEqual(a.Env, wantEnv) {
		t.Errorf("env %v", a.Env)
	}
	if !slices.Equal(a.Command, []string{"python3", "-m", "server"}) {
		t.Errorf("command %v", a.Command)
	}
	tool := a.Tools["docs.search"]
	if tool.Retry.Attempts != 7 || tool.Idempotent == nil || *tool.Idempotent {
		t.Errorf("tool %+v", tool)
	}
	if c.MCP.MaxBody != 2*MiB || c.MCP.MaxFrame != 4096 || c.Gateway == nil || c.Gateway.Listen != "127.0.0.1:8765" ||
		c.Defaults.Retry.Multiplier != 3 {
		t.Errorf("mcp %+v, gateway %+v, defaults %+v", c.MCP, c.Gateway, c.Defaults)
	}
}
