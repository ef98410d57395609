package codec

import (
	"fmt"
	"testing"

	"github.com/openmas/openmas/mcp/internal/wire"
)

func TestFastID(t *testing.T) {
	answerTo := func(id []byte) (FastID, bool) { return AnswerTo(&wire.Envelope{ID: id}) }
	for _, id := range []FastID{firstFastID, firstFastID + 41, lastFastID} {
		for _, as := range []string{"%d", "%d.0", "%d.0e0", `"%d"`} {
			if got, ok := answerTo(fmt.Appendf(nil, as, id)); !ok || got != id {
				t.Errorf(as+" came back as %d, %v", id, got, ok)
			}
		}
		if got := string(id.Append([]byte("["))); got != fmt.Sprintf("[%d", id) {
			t.Errorf("%d is written %s", id, got)
		}
	}
	// Servers that keep ids as int32 must not lose any, and none may be the SDK's.
	for _, s := range []string{``, `1`, `1073741823`, `2147483648`, `-1073741824`, `"1"`, `99999999999999999999`,
		`4294967296`, `5368709120`, `1073741824.5`, `"1073741824.0"`, `1e300`, `null`, `true`, `{}`, `""`} {
		if id, ok := answerTo([]byte(s)); ok {
			t.Errorf("%s is the id %d", s, id)
		}
	}
}

func deliver(t *testing.T, p *PendingCalls, id FastID, rest string) bool {
	t.Helper()
	var env wire.Envelope
	if msg := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,%s}`, id, rest); !env.Scan([]byte(msg)) {
		t.Fatal(msg)
	}
	return p.Deliver(&env)
}

func TestPendingCalls(t *testing.T) {
	var p PendingCalls
	p.begun = lastFastID - firstFastID
	last, _ := p.Begin()
	first, ofFirst := p.Begin() // the range begins anew
	if last != lastFastID || first != firstFastID {
		t.Fatalf("%d, %d", last, first)
	}
	if !deliver(t, &p, last, `"result":{}`) {
		t.Error("an answer is not taken")
	}
	p.End(last)
	if !deliver(t, &p, last, `"result":{}`) {
		t.Error("an answer that came too late is not taken")
	}
	p.begun = lastFastID - firstFastID
	again, ofAgain := p.Begin()
	if len(ofAgain) != 0 {
		t.Error("an answer to another call waits for the next one")
	}
	second, ofSecond := p.Begin()
	if again != lastFastID || second != firstFastID+1 {
		t.Errorf("%d, %d: a pending id was given again, or a free one was not", again, second)
	}
	if !deliver(t, &p, first, `"result":{"a":1}`) || !deliver(t, &p, first, `"result":{"b":2}`) ||
		!deliver(t, &p, 2_000_000_000, `"result":{}`) || deliver(t, &p, 7, `"result":{}`) ||
		deliver(t, &p, first, `"method":"ping"`) {
		t.Error("answers are taken that are not ours, or the other way around")
	}
	if r := <-ofFirst; string(r.Result) != `{"a":1}` || r.Err != nil {
		t.Errorf("%s, %v", r.Result, r.Err)
	}
	if !deliver(t, &p, again, `"error":{"code":-7,"message":"no"}`) || len(ofAgain) != 1 {
		t.Error("an answer did not come")
	}
	if !deliver(t, &p, second, `"error":{"code":"x"}`) {
		t.Error("an answer that does not decode is none")
	} else if r := <-ofSecond; r.Err == nil {
		t.Errorf("an error that does not decode: %s", r.Result)
	}
}

// A session that had many calls at once keeps few of their channels.
func TestChannelsToUseAgainAreBounded(t *testing.T) {
	var p PendingCalls
	for _, n := range []int{1, maxFree, 3 * maxFree} {
		var ids []FastID
		for range n {
			id, _ := p.Begin()
			ids = append(ids, id)
		}
		for _, id := range ids {
			p.End(id)
		}
		if len(p.free) != min(n, maxFree) || len(p.calls) != 0 {
			t.Errorf("after %d calls %d channels are kept, and %d calls", n, len(p.free), len(p.calls))
		}
	}
}
