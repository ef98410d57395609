package pubsub

import (
	"context"

	"github.com/openmas/openmas/internal/calls"
)

// workers do jobs, each in a goroutine. How many at once, those who start them decide.
type workers[Job any] struct {
	do   func(Job)
	jobs chan Job
	idle chan struct{} // a slot for each idle worker
	done chan struct{}
	gate calls.Gate // counts workers
}

func newWorkers[Job any](do func(Job)) *workers[Job] {
	return &workers[Job]{do: do, jobs: make(chan Job), idle: make(chan struct{}, idleWorkers),
		done: make(chan struct{})}
}

// start does the job in an idle worker, or a new one. False: the pool is closed.
func (w *workers[Job]) start(j Job) bool {
	select {
	case w.jobs <- j:
		return true
	default:
	}
	if !w.gate.Enter() {
		return false
	}
	go w.work(j)
	return true
}

func (w *workers[Job]) work(j Job) {
	defer w.gate.Leave()
	for {
		w.do(j)
		select {
		case w.idle <- struct{}{}:
		default:
			return
		}
		select {
		case j = <-w.jobs:
			<-w.idle
		case <-w.done:
			return
		}
	}
}

// close ends the idle workers and waits for the others until ctx ends. It is called once.
func (w *workers[Job]) close(ctx context.Context) error {
	w.gate.Shut()
	close(w.done)
	return w.gate.Wait(ctx)
}
