package delivery

import "sync"

// An Order has the events of one key handled one after the other, as they came. The zero Order is
// ready; it may be used concurrently. It remembers the keys of events that are not done, and no
// others.
type Order struct {
	mu    sync.Mutex
	tails map[string]chan struct{} // by key: closed when the last event that came is done
}

// A Turn is the place of an event behind the one before it with its key. The zero Turn waits for
// nobody.
type Turn struct {
	order        *Order
	key          string
	before, done chan struct{}
}

// Take puts an event behind the last one with its key. An event without a key waits for nobody.
func (o *Order) Take(key string) Turn {
	if key == "" {
		return Turn{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tails == nil {
		o.tails = map[string]chan struct{}{}
	}
	t := Turn{order: o, key: key, before: o.tails[key], done: make(chan struct{})}
	o.tails[key] = t.done
	return t
}

// Wait returns when the event before is done.
func (t Turn) Wait() {
	if t.before != nil {
		<-t.before
	}
}

// Done lets the next event of the key begin. It is called once.
func (t Turn) Done() {
	if t.done == nil {
		return
	}
	t.order.mu.Lock()
	if t.order.tails[t.key] == t.done {
		delete(t.order.tails, t.key)
	}
	t.order.mu.Unlock()
	close(t.done)
}
