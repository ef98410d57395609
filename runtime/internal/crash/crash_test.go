package crash

import (
	"errors"
	"strings"
	"testing"

	"github.com/openmas/openmas/runtime/internal/supervise"
)

type dead struct{ why string }

func (d dead) Done() <-chan struct{} { return nil }
func (d dead) Err() error            { return errors.New(d.why) }

// That a session has ended is said once, and a report says only why.
func TestSaidOnce(t *testing.T) {
	const want = "press (pid 1) exited with code 1"
	for _, why := range []string{want, "the session ended: " + want, "unavailable: press (press): the session ended: " +
		want} {
		err := Ended(dead{why})
		if strings.Count(err.Error(), "the session ended: ") != 1 || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v", why, err)
		}
		st := supervise.Status{State: supervise.Failed, Err: err}
		if r, ok := Report(st, func(s string) string { return s }); !ok || r.Error != want {
			t.Errorf("%q: %+v", why, r)
		}
	}
}
