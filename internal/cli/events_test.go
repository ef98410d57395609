//go:build unix

package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
)

// A project that does not run is started for the event, and its agents handle it before it stops.
func TestPublishStartsTheProject(t *testing.T) {
	path := projectFile(t, "agents: {inbox: {type: inbox}}\n")
	for _, args := range [][]string{{"text=hello there"}, {`{"text": "hello there"}`}, {"-"}} {
		r := run(t, `{"text": "hello there"}`, append([]string{"events", "publish", "-p", path, "--log-level", "info",
			"letter.sent"}, args...)...)
		if r.code != exitOK || r.out != "" || strings.Count(r.err, `msg="a letter" agent=inbox`) != 1 ||
			!strings.Contains(r.err, `text="hello there"`) {
			t.Errorf("%q: %+v", args, r)
		}
	}
	for _, tt := range []struct{ topic, arg, note string }{
		{"letter.sent", "text=hello", "letter.sent goes to inbox"},
		{"leter.sent", "text=hello", `no agent subscribes to leter.sent; did you mean "letter.sent"?`},
		{"letter.sent", "txet=hello", `letter.sent goes to inbox; nobody reads txet of it; did you mean "text"?`},
	} {
		r := run(t, "", "events", "publish", "-p", path, tt.topic, tt.arg)
		if r.code != exitOK || r.out != "" || !strings.Contains(r.err, "openmas: "+tt.note+"\n") {
			t.Errorf("%+v: %+v", tt, r)
		}
	}
	for name, args := range map[string][]string{"no topic": nil, "a wrong topic": {"letter sent"},
		"no JSON": {"letter.sent", "-"}, "neither": {"letter.sent", "hello"}} {
		if r := run(t, "{", append([]string{"events", "publish", "-p", path}, args...)...); r.code == exitOK {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Where processes of the project run and share a broker, their agents get the event.
func TestPublishInACluster(t *testing.T) {
	t.Parallel()
	path := projectFile(t, shared)
	p, url := hosting(t, path, "inbox")
	c := dialGateway(t, url)
	c.knows("inbox")
	if r := run(t, "", "events", "publish", "-p", path, "letter.sent", "text=hello", "--key", "k"); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	var seen []delivery
	testkit.Eventually(t, "the event is there", func() bool {
		c.must("inbox_seen", struct{}{}, &seen)
		return len(seen) == 1
	}, &p.err)
	if seen[0].Text != "hello" {
		got, _ := json.Marshal(seen)
		t.Errorf("%s", got)
	}
}
