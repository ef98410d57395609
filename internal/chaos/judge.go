//go:build linux

package main

import (
	"strings"
	"time"

	"github.com/openmas/openmas/internal/chaos/ledger"
)

// recovered notes when the first call was well again, counted from since.
func (t *trial) recovered(asks []*ask, since time.Time, promised time.Duration) {
	d, ok := firstOK(asks, since)
	if !ok {
		t.broken("no call succeeded any more")
		return
	}
	t.Recovered = d
	t.within("the first call succeeded", d, promised)
}

// nothingFailed is for calls that the fault must not touch, and those that are made again.
func (t *trial) nothingFailed(asks []*ask) {
	n, last := 0, ""
	for _, a := range asks {
		if !a.ok() {
			n++
			last = a.tool + ": " + a.code + ": " + a.text
		}
	}
	if n > 0 {
		t.broken("%d calls failed that should not, as %s", n, last)
	}
}

// begun is how many executions have begun, without those that are nested: their ids end in a plus.
func (t *trial) begun() (n int) {
	book, err := ledger.Read(t.ledger)
	if err != nil {
		return 0
	}
	for id, e := range book {
		if !strings.HasSuffix(id, "+") {
			n += e.Began
		}
	}
	return n
}

// judge compares what the callers saw with the ledger. A call that began after cut, when we ended
// what it called, may find nobody: it is refused then, if the ledger does not have it.
func (t *trial) judge(cut time.Time) {
	book, err := ledger.Read(t.ledger)
	if err != nil {
		t.broken("the ledger: %v", err)
		return
	}
	for _, a := range t.load.all() {
		e := book[a.id]
		if e == nil {
			e = &ledger.Entry{}
		}
		if a.none && e.Began == 0 && !cut.IsZero() && a.began.After(cut) {
			a.none, a.code = false, "refused"
		}
		switch {
		case a.none:
			t.None++
			t.say("no answer: %s of %s after %v: %s", a.tool, a.id, a.ended.Sub(a.began).Round(time.Millisecond),
				a.text)
		case a.wrong:
			t.Wrong++
			t.say("wrong answer: %s of %s: %s", a.tool, a.id, a.text)
		case a.code != "":
			t.fail(a.code)
			if a.notRun && e.Began > 0 && !a.safe {
				t.Untrue++
				t.say("said that it did not run: %s of %s: %s", a.tool, a.id, a.text)
			}
		default:
			t.OK++
			if e.Ended == 0 {
				t.Lost++
				t.say("acknowledged and not executed: %s of %s", a.tool, a.id)
			}
		}
		if e.Began > 1 && !a.safe {
			t.Twice++
			t.say("executed %d times: %s of %s", e.Began, a.tool, a.id)
		}
	}
	for what, n := range map[string]int{"calls without an answer": t.None, "wrong answers": t.Wrong,
		"executed twice": t.Twice, "acknowledged and not executed": t.Lost,
		"executed, though the error says they were not": t.Untrue} {
		if n > 0 {
			t.broken("%s: %d", what, n)
		}
	}
}
