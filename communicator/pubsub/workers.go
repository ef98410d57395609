package pubsub

import (
	"context"

	"github.com/openmas/openmas/internal/calls"
)

// workers run the calls of all bindings of a communicator, each in a goroutine. How many at once,
// the bindings decide.
type workers struct {
	calls chan *acceptedCall
	idle  chan struct{} // a slot for each idle worker
	done  chan struct{}
	gate  calls.Gate // counts workers
}

func newWorkers() *workers {
	return &workers{calls: make(chan *acceptedCall), idle: make(chan struct{}, idleWorkers), done: make(chan struct{})}
}

// start runs a in an idle worker, or a new one. False: the pool is closed.
func (w *workers) start(a *acceptedCall) bool {
	select {
	case w.calls <- a:
		return true
	default:
	}
	if !w.gate.Enter() {
		return false
	}
	go w.work(a)
	return true
}

func (w *workers) work(a *acceptedCall) {
	defer w.gate.Leave()
	for {
		a.b.work(a)
		select {
		case w.idle <- struct{}{}:
		default:
			return
		}
		select {
		case a = <-w.calls:
			<-w.idle
		case <-w.done:
			return
		}
	}
}

// close ends the idle workers and waits for the others until ctx ends. It is called once.
func (w *workers) close(ctx context.Context) error {
	w.gate.Shut()
	close(w.done)
	return w.gate.Wait(ctx)
}
