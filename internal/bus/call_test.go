package bus

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
)

// Every field of a call is in its frame, but for the back-channel, which becomes a flag: a field
// that is added to agent.Call and forgotten here fails.
func TestCallsCross(t *testing.T) {
	call := agent.Call{
		ID: "1f2e", Op: agent.OpTool, Agent: "weather", Name: "forecast", Input: json.RawMessage(`{"city":"Bern"}`),
		From: agent.Identity{Agent: "editor", Instance: "editor/1", User: "ann\n%", Trusted: true},
		Root: "0a", Path: []string{"desk", "editor"}, Key: "once%\n", Keeper: "g1", Depth: 2, Budget: "p/1",
		Attempt: 3,
		Meta:    map[string]string{"traceparent": "00-x", "a b": ""},
		Inputs:  map[string]json.RawMessage{"q": json.RawMessage(`true`)}, State: "s1", Back: agent.BackChannelFuncs{},
	}
	v := reflect.ValueOf(call)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("the test does not set %s", v.Type().Field(i).Name)
		}
	}
	f, err := CallFrame(&call)
	if err != nil || !f.Back {
		t.Fatal(f, err)
	}
	m, refused := f.Encode(0)
	if refused != nil {
		t.Fatal(refused)
	}
	f, refused = Decode(m)
	if refused != nil {
		t.Fatal(refused)
	}
	got, err := f.Call()
	call.Back = nil
	if err != nil || !reflect.DeepEqual(got, call) {
		t.Errorf("%+v, %v\nwant %+v", got, err, call)
	}
}

func TestDeadlines(t *testing.T) {
	sent := time.UnixMilli(1_750_000_000_000)
	for _, c := range []struct {
		name           string
		deadline, read time.Duration // after it was sent
		skew           bool          // the frame has no time of sending
		want           time.Duration // after read; 0: it is over
	}{
		{"at once", 30 * time.Second, 0, false, 30 * time.Second},
		{"it has waited", 30 * time.Second, 10 * time.Second, false, 20 * time.Second},
		{"a clock that is behind does not lengthen it", 30 * time.Second, -10 * time.Second, false, 30 * time.Second},
		{"over", 30 * time.Second, 30 * time.Second, false, 0},
		{"a part of a millisecond is one", time.Microsecond, 0, false, time.Millisecond},
		{"no time of sending", time.Second, time.Hour, true, time.Second},
	} {
		var f Frame
		f.SetDeadline(sent, sent.Add(c.deadline))
		if c.skew {
			f.Sent = 0
		}
		now := sent.Add(c.read)
		switch got, err := f.Deadline(now); {
		case c.want == 0:
			if err == nil || err.Code != agent.CodeDeadlineExceeded || !err.NotExecuted {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
		case err != nil || got.Sub(now) != c.want:
			t.Errorf("%s: %v, %v", c.name, got.Sub(now), err)
		}
	}
	var f Frame
	f.SetDeadline(sent, time.Time{})
	if got, err := f.Deadline(sent.Add(time.Hour)); err != nil || !got.IsZero() || f.Timeout != 0 {
		t.Errorf("a call without a deadline got %v, %v", got, err)
	}
}
