package calls

import (
	"errors"
	"fmt"
	"sync"

	"github.com/openmas/openmas/agent"
)

// Notices is the queue of a call's notices to somebody who may be slow to take them. It delivers
// one after the other, in the order of their coming, in a goroutine that ends when there are none.
// Close must follow, and waits for that goroutine. It is a part of whatever needs it: most calls
// have no notices, and it allocates nothing for them.
type Notices struct {
	Limit int // how many may wait
	To    Receiver

	mu         sync.Mutex
	queue      []agent.Notice
	lost       int
	delivering bool
	closed     bool
	idle       chan struct{} // made by Close, closed when nothing is delivered any more
}

// A Receiver is whom notices are delivered to. Deliver is not called concurrently, and must not
// panic.
type Receiver interface{ Deliver(agent.Notice) }

// delivered is what Close returns where nothing is on its way.
var delivered = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Add queues n without waiting. With an error n is lost, because the queue is closed or full.
func (q *Notices) Add(n agent.Notice) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return errors.New("the call is over")
	case len(q.queue) >= q.Limit:
		q.lost++
		return fmt.Errorf("%d notices of the call wait already", q.Limit)
	}
	q.queue = append(q.queue, n)
	if !q.delivering {
		q.delivering = true
		go q.run() // what Close returns ends with it
	}
	return nil
}

func (q *Notices) run() {
	for {
		q.mu.Lock()
		if len(q.queue) == 0 {
			q.delivering = false
			if q.idle != nil {
				close(q.idle)
			}
			q.mu.Unlock()
			return
		}
		n := q.queue[0]
		q.queue = q.queue[1:]
		q.mu.Unlock()
		q.To.Deliver(n)
	}
}

// Close takes no more notices. What it returns is closed when those that had come are delivered. It
// may be called more than once.
func (q *Notices) Close() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if !q.delivering {
		return delivered
	}
	if q.idle == nil {
		q.idle = make(chan struct{})
	}
	return q.idle
}

// Lost is how many notices found the queue full.
func (q *Notices) Lost() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// Closed reports whether Close was called.
func (q *Notices) Closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}
