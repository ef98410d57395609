package route

import (
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

// An instance that does not answer its pings gets calls only where no other one is ready, and until
// then those that are busier.
func TestASuspectInstanceIsAvoided(t *testing.T) {
	p := limited(2, Limits{}, nil)
	served := func() (zero, one int64) { return p.Instances()[0].Served(), p.Instances()[1].Served() }
	call := func() {
		for range 10 {
			if _, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "read"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := p.Instances()[0]
	first.Suspect(true)
	if now := first.Look(); now.State != Suspect || !strings.Contains(now.Err.Error(), "does not answer pings") {
		t.Errorf("%+v", now)
	}
	call()
	if zero, one := served(); zero != 0 || one != 10 || p.Suspect() {
		t.Error(zero, one, p.Suspect())
	}
	p.Instances()[1].Suspect(true)
	call()
	if zero, one := served(); zero != 5 || one != 15 || !p.Suspect() || p.Down() != nil {
		t.Error(zero, one, p.Suspect(), p.Down())
	}
	first.Suspect(false)
	call()
	if zero, one := served(); zero != 15 || one != 15 || first.Look().Err != nil {
		t.Error(zero, one, first.Look())
	}
	first.Down(Restarting, nil)
	first.Suspect(true) // of a session that has ended
	if now := first.Look(); now.State != Restarting {
		t.Errorf("%+v", now)
	}
}
