package logs

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Tracebacks and panics are one line of the log, and what is around them is not lost.
func TestTracebacksAreOneLine(t *testing.T) { synctest.Test(t, tracebacks) }

func tracebacks(t *testing.T) {
	var got []string
	b := NewBlocks(func(l Line) {
		s := l.Level.String() + " " + l.Message
		for _, a := range l.Attrs {
			s += " " + a.Key + "=" + a.Value.String()
		}
		got = append(got, s)
	})
	for line := range strings.SplitSeq(`INFO: before
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    1/0
    ~^~
ZeroDivisionError: division by zero
after
Traceback (most recent call last):
  File "a.py", line 2, in f
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in g
ValueError: y
panic: it broke

goroutine 1 [running]:
main.main()
	/a.go:3 +0x1d`, "\n") {
		b.Add(line)
	}
	time.Sleep(2 * blockWait) // the program is over
	synctest.Wait()
	b.Add("ERROR: later")
	want := []string{"INFO before",
		"ERROR ZeroDivisionError: division by zero stack=Traceback (most recent call last):\n  File \"a.py\", line " +
			"1, in " +
			"<module>\n    1/0\n    ~^~\nZeroDivisionError: division by zero",
		"INFO after",
		"ERROR KeyError: 'x' stack=Traceback (most recent call last):\n  File \"a.py\", line 2, in f\nKeyError: 'x'",
		"ERROR ValueError: y stack=During handling of the above exception, another exception occurred:\n\n" +
			"Traceback (most recent call last):\n  File \"a.py\", line 3, in g\nValueError: y",
		"ERROR panic: it broke stack=panic: it broke\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:3 +0x1d",
		"ERROR later"}
	if len(got) != len(want) {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %q\nwant %q", got[i], want[i])
		}
	}
}

func TestATracebackIsBounded(t *testing.T) {
	var got []Line
	b := NewBlocks(func(l Line) { got = append(got, l) })
	b.Add("Traceback (most recent call last):")
	for range 100_000 {
		b.Add("  File")
	}
	b.Add("RecursionError: deep")
	if len(got) != 1 || got[0].Message != "RecursionError: deep" ||
		len(got[0].Attrs[0].Value.String()) > maxBlockBytes {
		t.Errorf("%d lines", len(got))
	}
}
