package client

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
)

// A server's tools are found whatever its capabilities say of them, and it is told where there are
// none that it may have meant to have.
func TestCapabilitiesThatDoNotNameTools(t *testing.T) {
	const no = `{"error":{"code":-32601,"message":"Method not found"}}`
	const broken = `{"error":{"code":-32603,"message":"no database"}}`
	for name, tt := range map[string]struct {
		capabilities, tools string
		offered             string
		left                string // the reason for which the list is left out
		warning             string // the only one; empty: none
	}{
		"a number": {"5", oneTool, "good p x://y x://{y}", "", "members=capabilities"},
		"a list":   {`["tools"]`, oneTool, "good p x://y x://{y}", "", "members=capabilities"},
		"a number and no tools": {"5", no, "p x://y x://{y}", "the server's capabilities cannot be read, and it " +
			"lists no tools when it is asked", "members=capabilities"},
		"upper case":         {`{"Tools":{},"Prompts":{}}`, oneTool, "good p", "", "capabilities.Tools"},
		"null":               {`{"tools":null}`, oneTool, "good", "", "do not name tools"},
		"prompts only":       {`{"prompts":{}}`, no, "p", "", ""},
		"prompts and tools":  {`{"prompts":{}}`, oneTool, "good p", "", "do not name tools"},
		"prompts, no answer": {`{"prompts":{}}`, "", "p", "the server has not answered yet", ""},
		"an empty list":      {`{"prompts":{}}`, `{"result":{"tools":[]}}`, "p", "", ""},
		"tools that fail": {`{"tools":null}`, broken, "", "the server's capabilities do not name it, and it cannot be " +
			"read: no database", "no database"},
	} {
		for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio,
			"http": (*raw).http, "sse": (*raw).sse} {
			for _, off := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, way, !off), func(t *testing.T) {
					t.Parallel() // one waits
					log := &testkit.Buffer{}
					r := newRaw(map[string]string{"tools/list": tt.tools,
						"initialize": `{"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"x",` +
							`"version":"1"},"capabilities":` + tt.capabilities + `}}`})
					s := connect(r, t, Options{NoFastPath: off, Logger: slog.New(slog.NewTextHandler(log, nil))})
					offered, left := names(s)
					if got := strings.Join(offered, " "); got != tt.offered {
						t.Errorf("it offers %q, want %q", got, tt.offered)
					}
					if tt.left == "" && len(left) > 0 || tt.left != "" &&
						(len(left) != 1 || left[0].Reason != tt.left) {
						t.Errorf("left out: %+v, want %q", left, tt.left)
					}
					lines := slices.DeleteFunc(strings.Split(log.String(), "\n"),
						func(l string) bool { return !strings.Contains(l, "level=WARN") })
					if tt.left != "" && tt.warning == "members=capabilities" {
						lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, tt.left) })
					}
					if tt.warning == "" && len(lines) > 0 || tt.warning != "" && (len(lines) != 1 ||
						!strings.Contains(lines[0], tt.warning)) {
						t.Errorf("want one warning with %q:\n%s", tt.warning, log)
					}
					if !strings.HasPrefix(tt.offered, "good") {
						return
					}
					if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
						t.Error(got)
					}
				})
			}
		}
	}
}

// A server that answers a request which it does not say it knows with 404 has not forgotten the
// session.
func TestAListThatIsNotThereCostsNoSession(t *testing.T) {
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprint(!off), func(t *testing.T) {
			r := newRaw(map[string]string{"initialize": `{"result":{"protocolVersion":"2025-06-18","serverInfo":` +
				`{"name":"x","version":"1"},"capabilities":{"prompts":{}}}}`})
			r.unknown = "tools/list"
			s := r.http(t, Options{NoFastPath: off, Logger: fixture.Quiet})
			if offered, left := names(s); strings.Join(offered, " ") != "p" || len(left) != 0 {
				t.Errorf("it offers %q, left out %+v", offered, left)
			}
			if s.ctx.Err() != nil {
				t.Error(s.Err())
			}
		})
	}
}
