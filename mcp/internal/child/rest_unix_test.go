//go:build unix

package child

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/guard"
	"github.com/openmas/openmas/internal/testkit"
)

// Whoever started a program is told of processes that it has left behind and that do not end, and
// how long they have.
func TestTheRestIsReported(t *testing.T) {
	for role, stop := range map[string]bool{"father of stubborn": false, "parent of stubborn": true} {
		t.Run(role, func(t *testing.T) {
			told := make(chan Rest, 1)
			spec := as(role)
			spec.Grace.Term = time.Hour
			spec.OnRest = func(r Rest) { told <- r }
			p, grandchild := starting(t, spec)
			most, ended := orphanGrace, make(chan error, 1)
			if stop {
				most = spec.Grace.Term
				go func() { ended <- p.Stop(bounded(t)) }()
			} else {
				ended <- nil
			}
			r := testkit.Receive(t, told)
			if r.Most != most {
				t.Errorf("they have %v, want %v", r.Most, most)
			}
			if want := fmt.Sprintf(" (pid %d)", grandchild); guard.Finds &&
				(len(r.Names) != 1 || !strings.HasSuffix(r.Names[0], want)) {
				t.Errorf("%q, want one with %q", r.Names, want)
			}
			p.Kill()
			if err := testkit.Receive(t, ended); err != nil {
				t.Error(err)
			}
		})
	}
}
