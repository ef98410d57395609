package calls_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/openmas/openmas/internal/calls"
)

// A Gate is a number and a flag, whatever the order of what is done to it.
func TestGateIsANumberAndAFlag(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	rapid.Check(t, func(t *rapid.T) {
		var g calls.Gate
		inside, shut := 0, false
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				if got := g.Enter(); got == shut {
					t.Fatalf("Enter is %v, shut is %v", got, shut)
				}
				if !shut {
					inside++
				}
			},
			"leave": func(t *rapid.T) {
				if inside == 0 {
					t.Skip("nobody inside")
				}
				g.Leave()
				inside--
			},
			"enter within": func(t *rapid.T) {
				got := g.EnterWithin()
				if want := !shut || inside > 0; got != want {
					t.Fatalf("EnterWithin is %v with %d inside, shut is %v", got, inside, shut)
				}
				if got {
					inside++
				}
			},
			"shut": func(*rapid.T) { g.Shut(); shut = true },
			"open": func(*rapid.T) { g.Open(); shut = false },
			"": func(t *rapid.T) {
				if g.InFlight() != inside {
					t.Fatalf("InFlight is %d, want %d", g.InFlight(), inside)
				}
				err := g.Wait(ended)
				if (err == nil) != (shut && inside == 0) || err != nil && !errors.Is(err, context.Canceled) {
					t.Fatalf("Wait gave %v with %d inside, shut is %v", err, inside, shut)
				}
			},
		})
	})
}

func TestGateWaitsForTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g calls.Gate
		g.Enter()
		g.Enter()
		var waiting sync.WaitGroup
		var over atomic.Bool
		for range 3 {
			waiting.Go(func() {
				if err := g.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				over.Store(true)
			})
		}
		for _, step := range []func(){g.Leave, g.Shut, func() { g.Enter() }} {
			step()
			if synctest.Wait(); over.Load() {
				t.Fatal("Wait returned with one inside")
			}
		}
		g.Leave()
		waiting.Wait()
	})
}

// Nobody is inside once Wait has returned, however the calls race with Shut.
func TestGateUnderRace(t *testing.T) {
	for range 50 {
		var g calls.Gate
		var inside, served atomic.Int64
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for g.Enter() {
					inside.Add(1)
					runtime.Gosched()
					inside.Add(-1)
					served.Add(1)
					g.Leave()
				}
			})
		}
		for served.Load() < 20 {
			runtime.Gosched()
		}
		var shutters sync.WaitGroup
		for range 2 {
			shutters.Go(func() {
				g.Shut()
				if err := g.Wait(t.Context()); err != nil {
					t.Error(err)
				}
				if n := inside.Load(); n != 0 {
					t.Errorf("%d are inside after Wait", n)
				}
			})
		}
		shutters.Wait()
		callers.Wait()
		if g.Enter() || g.InFlight() != 0 {
			t.Errorf("a shut gate lets in, %d inside", g.InFlight())
		}
	}
}
