package route

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// A queue holds the calls that wait for a slot at an instance. A slot that becomes free is handed
// to the first of them that can use it, so that no later call takes it away.
type queue struct {
	n       atomic.Int64
	mu      sync.Mutex
	waiting list.List // of *waiter
}

// A waiter is a call that waits.
type waiter struct {
	// slot gets the number of the instance whose slot is handed over.
	slot chan int
	// only is the instance that it waits for; -1: any. not is one that it does not want; -1: none.
	only, not int
	place     *list.Element // nil once a slot was handed over
}

// join puts a call at the end of the queue; nil: there are most already.
func (q *queue) join(most int) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.Len() >= most {
		return nil
	}
	w := &waiter{slot: make(chan int, 1), only: -1, not: -1}
	w.place = q.waiting.PushBack(w)
	q.n.Add(1)
	return w
}

// hand gives a slot of instance n to the first that can use it; false: there is none.
func (q *queue) hand(n int) bool {
	if q.n.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.first(n)
	if w == nil {
		return false
	}
	q.drop(w)
	w.slot <- n
	return true
}

// wanted reports whether anybody waits who can use a slot of instance n.
func (q *queue) wanted(n int) bool {
	if q.n.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first(n) != nil
}

// first is the first that can use a slot of instance n; nil: there is none. It is called with mu
// held.
func (q *queue) first(n int) *waiter {
	for e := q.waiting.Front(); e != nil; e = e.Next() {
		if w := e.Value.(*waiter); w.canUse(n) {
			return w
		}
	}
	return nil
}

// canUse is called with the queue's mu held.
func (w *waiter) canUse(n int) bool { return (w.only < 0 || w.only == n) && w.not != n }

// wants sets the instances that a call waits for.
func (q *queue) wants(w *waiter, only, not int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.only, w.not = only, not
}

// again puts a call that could not use its slot back, before all others.
func (q *queue) again(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place == nil {
		w.place = q.waiting.PushFront(w)
		q.n.Add(1)
	}
}

// quit takes a call out of the queue. It reports the slot that it was given and did not use.
func (q *queue) quit(w *waiter) (slot int, given bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place != nil {
		q.drop(w)
	}
	select {
	case slot = <-w.slot:
		return slot, true
	default:
		return 0, false
	}
}

// drop is called with mu held.
func (q *queue) drop(w *waiter) {
	q.waiting.Remove(w.place)
	w.place = nil
	q.n.Add(-1)
}

// waits is how many wait.
func (q *queue) waits() int { return int(q.n.Load()) }
