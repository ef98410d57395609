package pubsub

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/testkit"
)

// byHand is a process that writes the wire format by hand: it sends calls and reads what comes
// back.
type byHand struct {
	t       *testing.T
	d       Driver
	inbox   string
	replies chan bus.Frame
}

func newByHand(t *testing.T, d Driver) *byHand {
	s := &byHand{t: t, d: d, inbox: "om.1.test.reply.stranger", replies: make(chan bus.Frame, 10)}
	stop, err := bus.Receive(d, "", s.inbox, func(m *message.Message) {
		f, err := bus.Decode(m)
		if err != nil {
			t.Error(err)
		}
		s.replies <- f
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop() })
	return s
}

func (s *byHand) send(subject string, metadata map[string]string, payload string) {
	s.t.Helper()
	if err := s.d.Publish(subject, &message.Message{Metadata: metadata, Payload: []byte(payload)}); err != nil {
		s.t.Fatal(err)
	}
}

func TestRawCalls(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	ran := make(chan string, 10)
	release := make(chan struct{})
	serve(t, process(t, d, Options{}), service{"callee", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		ran <- c.ID
		if c.Name == "waits" {
			<-release
		}
		return &agent.Result{Structured: c.Input}, nil
	}})
	s := newByHand(t, d)
	calls := 0
	call := func(change map[string]string) {
		calls++ // a ref is never used twice
		md := map[string]string{"v": "1", "kind": "call", "ref": fmt.Sprintf("stranger-%d", calls), "reply-to": s.inbox,
			"op":    "tool",
			"agent": "callee", "name": "x", "id": "7"}
		maps.Copy(md, change)
		s.send("om.1.test.call.callee", md, `{"a":1}`)
	}
	call(nil)
	if f := testkit.Receive(t, s.replies); f.Kind != bus.KindReply || f.Ref != "stranger-1" ||
		f.Body != bus.BodyStructured ||
		string(f.Payload) != `{"a":1}` || testkit.Receive(t, ran) != "7" {
		t.Fatalf("%+v", f)
	}
	for _, c := range []struct {
		change map[string]string
		code   agent.Code
	}{
		{map[string]string{"v": "2"}, agent.CodeUnimplemented},
		{map[string]string{"kind": "dance"}, agent.CodeUnimplemented},
		{map[string]string{"v": "x"}, agent.CodeInternal},
		{map[string]string{"timeout": "-5"}, agent.CodeInternal},
		{map[string]string{"body": "later"}, agent.CodeInternal},
		{map[string]string{"body": "resumed", "v": "1"}, ""}, // an object with other members
		{map[string]string{"timeout": "10", "sent": "1000"}, agent.CodeDeadlineExceeded},
	} {
		call(c.change)
		f := testkit.Receive(t, s.replies)
		if c.code == "" {
			testkit.Receive(t, ran)
			continue
		}
		_, err := bus.ReadResult(f.Payload, f.Body)
		if e := agent.AsError(err); f.Body != bus.BodyError || e.Code != c.code || !e.NotExecuted {
			t.Errorf("%v: %+v %v", c.change, f, e)
		}
	}
	// Nothing is sent to a subject that is no reply subject of the project, and nothing runs.
	for _, to := range []string{"", "om.1.test.call.callee", "om.1.other.reply.x", "om.1.test.reply.",
		"om.1.test.reply.a.b", "om.1.test.reply.>"} {
		call(map[string]string{"reply-to": to})
	}
	call(map[string]string{"ref": ""})
	// What a broker delivers twice runs once.
	call(map[string]string{"name": "waits", "ref": "stranger-twice"})
	testkit.Receive(t, ran)
	call(map[string]string{"name": "waits", "ref": "stranger-twice"})
	close(release)
	if f := testkit.Receive(t, s.replies); f.Ref != "stranger-twice" {
		t.Fatalf("%+v", f)
	}
	if len(ran)+len(s.replies) > 0 {
		t.Fatalf("%d more runs, %d more replies", len(ran), len(s.replies))
	}
}

func TestRawReplies(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	// The test makes the answers of the callee.
	answers := make(chan map[string]string, 1)
	s := newByHand(t, d)
	stop, err := bus.Receive(d, "callee", "om.1.test.call.callee", func(m *message.Message) {
		f, _ := bus.Decode(m)
		if f.Op == bus.OpInfo {
			s.send(f.ReplyTo, map[string]string{"v": "1", "kind": "reply", "ref": f.Ref, "body": "structured"},
				`{"name":"callee"}`)
			return
		}
		// None of these is the answer.
		for _, md := range []map[string]string{
			{"v": "1", "kind": "heartbeat", "ref": f.Ref}, {"v": "1", "kind": "reply", "ref": "other-1"},
			{"v": "1", "kind": "reply", "ref": "nonsense"},
			{"v": "1", "kind": "reply"}, {"v": "2", "kind": "notice", "ref": f.Ref},
			{"v": "1", "kind": "notice", "ref": f.Ref}, {"kind": "reply"},
			{"v": "1", "kind": "ask", "ref": f.Ref}, {"v": "1", "kind": "ask", "ref": f.Ref, "ask": "stranger-9",
				"reply-to": "om.1.other.reply.x"},
		} {
			s.send(f.ReplyTo, md, "{")
		}
		md := <-answers
		md["ref"] = f.Ref
		s.send(f.ReplyTo, md, md["payload"])
		s.send(f.ReplyTo, map[string]string{"v": "1", "kind": "reply", "ref": f.Ref, "body": "structured"}, `"twice"`)
		// Too late to ask: the call is over.
		s.send(f.ReplyTo, map[string]string{"v": "1", "kind": "ask", "ref": f.Ref, "ask": "stranger-9",
			"reply-to": s.inbox}, `{"kind":"roots"}`)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	p := dial(t, process(t, d, Options{}), "callee")
	for _, c := range []struct {
		answer map[string]string
		code   agent.Code
		text   string
	}{
		{map[string]string{"v": "1", "kind": "reply", "body": "structured", "payload": `{"ok":true}`}, "",
			`{"ok":true}`},
		{map[string]string{"v": "1", "kind": "reply", "body": "result",
			"payload": `{"content":[{"type":"text","text":"hi"}]}`}, "", "hi"},
		{map[string]string{"v": "1", "kind": "reply", "body": "error", "payload": `{"code":"invented","message":"m"}`},
			agent.CodeInternal, "m"},
		{map[string]string{"v": "1", "kind": "reply", "body": "error", "payload": `{`}, agent.CodeInternal,
			"malformed"},
		{map[string]string{"v": "1", "kind": "reply", "body": "result", "payload": `[]`}, agent.CodeInternal,
			"malformed"},
		{map[string]string{"v": "1", "kind": "reply", "body": "later"}, agent.CodeInternal, "malformed"},
		{map[string]string{"v": "2", "kind": "reply", "body": "structured"}, agent.CodeUnimplemented, "version 2"},
	} {
		answers <- c.answer
		res, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x",
			Back: agent.BackChannelFuncs{}})
		text := ""
		if err != nil {
			text = err.Error()
			if agent.AsError(err).NotExecuted {
				t.Errorf("%v: it may have run: %v", c.answer, err)
			}
		} else {
			text = res.Text()
		}
		if agent.CodeOf(err) != c.code || !strings.Contains(text, c.text) {
			t.Errorf("%v: %s, %v", c.answer, text, err)
		}
		f := testkit.Receive(t, s.replies)
		if _, err := bus.ReadResult(f.Payload, f.Body); f.Kind != bus.KindAnswer || f.Ref != "stranger-9" ||
			agent.CodeOf(err) != agent.CodeCanceled {
			t.Errorf("%+v", f)
		}
	}
}
