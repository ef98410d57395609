package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
)

// wild panics wherever the test wants.
type wild struct{ at string }

func (w *wild) do(what string) error {
	if w.at == what {
		panic("at " + what)
	}
	return nil
}

func (w *wild) Capabilities() agent.Capabilities {
	_ = w.do("Capabilities")
	return agent.Capabilities{Requires: []agent.Requirement{agent.Require("other")}}
}
func (w *wild) Start(context.Context, agent.Env) error { return w.do("Start") }
func (w *wild) Health(context.Context) error           { return w.do("Health") }
func (w *wild) Close(context.Context) error            { return w.do("Close") }
func (w *wild) Run(context.Context) error              { return w.do("Run") }

func TestPanicsAreErrors(t *testing.T) {
	for _, at := range []string{"Capabilities", "Start", "Health", "Close", "nowhere"} {
		t.Run(at, func(t *testing.T) {
			var log bytes.Buffer
			i, err := New(&wild{at},
				agent.Env{Name: "a", Instance: "a/0", Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err == nil {
				err = errors.Join(i.Start(t.Context()), i.Health()(t.Context()), i.Runner()(t.Context()),
					i.Close(t.Context()))
			}
			if at == "nowhere" {
				if err != nil || log.Len() > 0 || i.Requires()[0].Agent() != "other" {
					t.Errorf("%v\n%s", err, &log)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), at+" of a") ||
				!strings.Contains(err.Error(), "panicked: at "+at) {
				t.Error(err)
			}
			if !strings.Contains(log.String(), "lifecycle_test.go") {
				t.Errorf("there is no stack in the log: %s", &log)
			}
		})
	}
}

type plain struct{}

func (plain) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func TestAnAgentWithoutPowers(t *testing.T) {
	i, err := New(plain{}, agent.Env{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.Start(t.Context()), i.Close(t.Context())); err != nil || i.Health() != nil ||
		i.Runner() != nil {
		t.Error(err, i.Health() != nil, i.Runner() != nil)
	}
	if err := i.Lend(agent.Env{Name: "No Name"}); err == nil {
		t.Error("a name that is none")
	}
}

func TestUndoGoesBackwardsAndOn(t *testing.T) {
	var u Undo
	var did []string
	for _, what := range []string{"a", "b", "c"} {
		u.Add(what, func(context.Context) error {
			did = append(did, what)
			if what == "b" {
				return errors.New("stuck")
			}
			return nil
		})
	}
	if err := u.Run(t.Context()); err == nil || err.Error() != "stop b: stuck" || strings.Join(did, "") != "cba" {
		t.Error(did, err)
	}
	if err := u.Run(t.Context()); err != nil || len(did) != 3 {
		t.Error("it was undone twice", did, err)
	}
}

func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := []*Undo{{}, {}, {}}
		for n, l := range lists {
			l.Add("x", func(context.Context) error {
				time.Sleep(time.Second)
				if n == 1 {
					return errors.New("stuck")
				}
				return nil
			})
		}
		began := time.Now()
		if err := Together(t.Context(), lists); err == nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
