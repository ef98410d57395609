package crash

import (
	"errors"
	"testing"

	"github.com/openmas/openmas/runtime/internal/supervise"
)

type dead struct{ why string }

func (d dead) Done() <-chan struct{} { return nil }
func (d dead) Err() error            { return errors.New(d.why) }

// That a session has ended is said once, and a report says only why.
func TestSaidOnce(t *testing.T) {
	for why, want := range map[string]string{
		"press (pid 1) exited with code 1":                    "press (pid 1) exited with code 1",
		"the session ended: press (pid 1) exited with code 1": "press (pid 1) exited with code 1",
	} {
		err := Ended(dead{why})
		if err.Error() != "the session ended: "+want {
			t.Errorf("%q: %v", why, err)
		}
		st := supervise.Status{State: supervise.Failed, Err: err}
		if r, ok := Report(st, func(s string) string { return s }); !ok || r.Error != want {
			t.Errorf("%q: %+v", why, r)
		}
	}
}
