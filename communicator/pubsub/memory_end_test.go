package pubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// countDead returns a driver that notes what is dead-lettered.
func countDead(o MemoryOptions, dead *[]string) *Memory {
	o.OnDeadLetter = func(_ string, m *message.Message, _ error) { *dead = append(*dead, string(m.Payload)) }
	return NewMemory(o)
}

// Whoever leaves a topic, and in whatever order: the others get what follows, and nothing is kept
// of those that are gone.
func TestMemoryMembersLeave(t *testing.T) {
	groups := []string{"a", "a", "b", "", ""}
	ways := map[string]func(t *testing.T, s message.Subscriber, got chan string) (end func()){
		"subscriptions whose context ends": func(t *testing.T, s message.Subscriber, got chan string) func() {
			ctx, cancel := context.WithCancel(t.Context())
			forward(t, ctx, s, got)
			return cancel
		},
		"subscribers that are closed": func(t *testing.T, s message.Subscriber, got chan string) func() {
			forward(t, t.Context(), s, got)
			return func() { _ = s.Close() }
		},
		"receivers": func(t *testing.T, s message.Subscriber, got chan string) func() {
			stop, err := s.(Receiver).Receive("t", func(m *message.Message) { got <- string(m.Payload) })
			if err != nil {
				t.Fatal(err)
			}
			return func() { _ = stop() }
		},
	}
	for name, way := range ways {
		for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}} {
			t.Run(fmt.Sprint(name, order), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := NewMemory(MemoryOptions{})
					defer d.Close()
					got := make(chan string, 64)
					var subs []*memorySubscriber
					var ends []func()
					left := map[string]int{}
					for i, g := range groups {
						s, err := d.Subscriber(g)
						if err != nil {
							t.Fatal(err)
						}
						subs = append(subs, s.(*memorySubscriber))
						ends = append(ends, way(t, s, got))
						if g == "" {
							g = fmt.Sprint("alone ", i)
						}
						left[g]++
					}
					for _, i := range order {
						if err := d.Publish("t", msg("x")); err != nil {
							t.Fatal(err)
						}
						synctest.Wait()
						if n := len(got); n != len(left) {
							t.Fatalf("%d copies for the groups %v", n, left)
						}
						for len(got) > 0 {
							<-got
						}
						ends[i]()
						synctest.Wait()
						g := groups[i]
						if g == "" {
							g = fmt.Sprint("alone ", i)
						}
						if left[g]--; left[g] == 0 {
							delete(left, g)
						}
						if n := len(subs[i].members); n > 0 {
							t.Errorf("a subscriber knows %d that have left", n)
						}
					}
					if err := d.Publish("t", msg("x")); !errors.Is(err, ErrNoSubscribers) || len(got) > 0 {
						t.Errorf("after all have left: %v", err)
					}
					if groups, kept := d.topics.all.Load("t"); kept {
						t.Errorf("the topic is kept, with %v", groups)
					}
					for _, s := range subs {
						_ = s.Close()
					}
					if n := len(d.subs); n > 0 {
						t.Errorf("the driver knows %d closed subscribers", n)
					}
				})
			})
		}
	}
}

// forward acknowledges all that a subscription gets.
func forward(t *testing.T, ctx context.Context, s message.Subscriber, got chan string) {
	t.Helper()
	ch, err := s.Subscribe(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for m := range ch {
			got <- string(m.Payload)
			m.Ack()
		}
	}()
}

// A subscriber that is closed delivers what it had queued, for a second; a driver that is closed
// does not.
func TestMemoryCloses(t *testing.T) {
	for name, c := range map[string]struct {
		queued    int
		acks      bool
		driver    bool
		takes     time.Duration
		delivered string
		dead      string
	}{
		"an idle subscriber":            {acks: true},
		"one with a queue":              {queued: 12, acks: true, delivered: "0 1 2 3 4 5 6 7 8 9 10 11"},
		"one that does not acknowledge": {queued: 3, takes: closeGrace, delivered: "0", dead: "0 1 2"},
		"an idle driver":                {acks: true, driver: true},
		"a driver with a queue":         {queued: 3, driver: true, delivered: "0", dead: "0 1 2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var delivered, dead []string
				d := countDead(MemoryOptions{}, &dead)
				s, _ := d.Subscriber("g")
				ch, err := s.Subscribe(t.Context(), "t")
				if err != nil {
					t.Fatal(err)
				}
				for i := range c.queued {
					if err := d.Publish("t", msg(fmt.Sprint(i))); err != nil {
						t.Fatal(err)
					}
				}
				closing, over := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(over)
					if c.queued > 0 {
						m := <-ch
						delivered = append(delivered, string(m.Payload))
						<-closing
						if c.acks {
							m.Ack()
						}
					}
					for m := range ch {
						delivered = append(delivered, string(m.Payload))
						m.Ack()
					}
				}()
				synctest.Wait()
				began, closed := time.Now(), make(chan struct{})
				go func() {
					defer close(closed)
					if c.driver {
						_ = d.Close()
					} else {
						_ = s.Close()
					}
				}()
				synctest.Wait()
				close(closing)
				<-closed
				<-over
				if took := time.Since(began); took != c.takes {
					t.Errorf("it takes %v, want %v", took, c.takes)
				}
				if got := strings.Join(delivered, " "); got != c.delivered {
					t.Errorf("delivered %s, want %s", got, c.delivered)
				}
				if got := strings.Join(dead, " "); got != c.dead {
					t.Errorf("dead-lettered %s, want %s", got, c.dead)
				}
				if _, err := s.Subscribe(t.Context(), "t"); err == nil || !strings.Contains(err.Error(), "is closed") {
					t.Errorf("subscribed afterwards: %v", err)
				}
				if _, err := s.(Receiver).Receive("t", nil); err == nil || !strings.Contains(err.Error(), "is closed") {
					t.Errorf("received afterwards: %v", err)
				}
				want := ErrNoSubscribers
				if c.driver {
					want = ErrClosed
				}
				if err := d.Publish("t", msg("late")); !errors.Is(err, want) {
					t.Errorf("published afterwards: %v", err)
				}
				_ = d.Close()
			})
		})
	}
}

// What a member of a group has not handled when its context ends goes to another one: a message
// that it did not take, and one that it refused and would have got again.
func TestMemoryPassesOn(t *testing.T) {
	for name, nack := range map[string]bool{"not taken": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dead []string
				d := countDead(MemoryOptions{Backoff: time.Hour}, &dead)
				defer d.Close()
				first, stop := subscribe(t, d, "g", "t")
				if err := d.Publish("t", msg("x")); err != nil {
					t.Fatal(err)
				}
				if nack {
					(<-first).Nack()
				}
				synctest.Wait()
				second, _ := subscribe(t, d, "g", "t")
				stop()
				if got := take(t, second, 1); got[0] != "x" || len(dead) > 0 {
					t.Errorf("the other one gets %v, dead-lettered %v", got, dead)
				}
			})
		})
	}
}

// A receiver that stops while a message is on its way is not called any more, and another member of
// its group is.
func TestMemoryReceiverStops(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	receive := func(group string, fn func(*message.Message)) func() error {
		s, err := d.Subscriber(group)
		if err != nil {
			t.Fatal(err)
		}
		stop, err := s.(Receiver).Receive("t", fn)
		if err != nil {
			t.Fatal(err)
		}
		return stop
	}
	var stop [2]func() error
	var got [2]int
	turn := 0
	receive("first", func(*message.Message) { _ = stop[turn]() })
	for i := range stop {
		stop[i] = receive("second", func(*message.Message) { got[i]++ })
	}
	turn = 1 // the group's next one
	if err := d.Publish("t", msg("x")); err != nil || got != [2]int{1, 0} {
		t.Errorf("called %v times: %v", got, err)
	}
	turn = 0
	if err := d.Publish("t", msg("x")); err != nil || got != [2]int{1, 0} {
		t.Errorf("called %v times, after both have stopped: %v", got, err)
	}
}

// A subscriber that is closed while a message is on its way does not get it, and another member of
// its group does.
func TestMemorySubscriberCloses(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	closing, err := d.Subscriber("second")
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, r := range []struct {
		group string
		fn    func(*message.Message)
	}{
		{"first", func(*message.Message) { _ = closing.Close() }},
		{"second", func(*message.Message) { got++ }},
	} {
		s, err := d.Subscriber(r.group)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.(Receiver).Receive("t", r.fn); err != nil {
			t.Fatal(err)
		}
	}
	ch, err := closing.Subscribe(t.Context(), "t") // the group's next one
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Publish("t", msg("x")); err != nil || got != 1 {
		t.Errorf("the other one is called %d times: %v", got, err)
	}
	if m, open := <-ch; open {
		t.Errorf("it still gets %s", m.Payload)
	}
}

// lateContext holds whoever waits for it until it may go on: a publisher that has found no room,
// and has not begun to wait for some.
type lateContext struct {
	context.Context
	waits, goesOn chan struct{}
}

func late(t *testing.T) lateContext {
	return lateContext{t.Context(), make(chan struct{}), make(chan struct{})}
}

func (c lateContext) Done() <-chan struct{} {
	close(c.waits)
	<-c.goesOn
	return c.Context.Done()
}

// A message of a publisher that waits for room when the subscription ends is delivered, or the
// publisher has an error. It is not lost, and not both.
func TestMemoryEndsUnderAPublisher(t *testing.T) {
	for name, closes := range map[string]bool{"its context ends": false, "it is closed": true} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // the publisher may take either way out
				synctest.Test(t, func(t *testing.T) {
					var dead []string
					d := countDead(MemoryOptions{Queue: 1}, &dead)
					s, _ := d.Subscriber("g")
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					ch, err := s.Subscribe(ctx, "t")
					if err != nil {
						t.Fatal(err)
					}
					for _, text := range []string{"sent", "queued"} {
						if err := d.Publish("t", msg(text)); err != nil {
							t.Fatal(err)
						}
						synctest.Wait()
					}
					held, published := late(t), make(chan error, 1)
					m := msg("late")
					m.SetContext(held)
					go func() { published <- d.Publish("t", m) }()
					<-held.waits
					ended := make(chan struct{})
					delivered := 0
					if closes {
						for range 2 {
							(<-ch).Ack()
						}
						synctest.Wait() // there is room now
						go func() { defer close(ended); _ = s.Close() }()
					} else {
						cancel()
						go func() { defer close(ended); _ = s.Close() }()
					}
					synctest.Wait()
					close(held.goesOn)
					for m := range ch {
						delivered++
						m.Ack()
					}
					<-ended
					switch err := <-published; {
					case err == nil && delivered == 1:
					case errors.Is(err, ErrNoSubscribers) && delivered == 0:
					default:
						t.Errorf("published: %v, delivered %d times, dead-lettered %v", err, delivered, dead)
					}
					if len(dead) > 2 || len(dead) > 0 && closes {
						t.Errorf("dead-lettered %v", dead)
					}
					_ = d.Close()
				})
			}
		})
	}
}

// A message that is refused once, and taken when it comes again, does not come a third time.
func TestMemoryRedeliversUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemory(MemoryOptions{})
		defer d.Close()
		ch, _ := subscribe(t, d, "", "t")
		if err := d.Publish("t", msg("x"), msg("y")); err != nil {
			t.Fatal(err)
		}
		(<-ch).Nack()
		m := <-ch
		synctest.Wait()
		select {
		case m := <-ch:
			t.Errorf("%s comes while x is being handled again", m.Payload)
		default:
		}
		m.Ack()
		if next := <-ch; string(m.Payload) != "x" || string(next.Payload) != "y" {
			t.Errorf("after the first %s came %s", m.Payload, next.Payload)
		}
	})
}

// A driver that is closed has ended all subscriptions and receivers when it returns.
func TestMemoryDriverEndsAll(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	s, err := d.Subscriber("")
	if err != nil {
		t.Fatal(err)
	}
	ch, err := s.Subscribe(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	called := 0
	if _, err := s.(Receiver).Receive("t", func(*message.Message) { called++ }); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case m, open := <-ch:
		if open {
			t.Errorf("it got %s", m.Payload)
		}
	default:
		t.Error("the subscription is still there")
	}
	if err := d.Publish("t", msg("x")); !errors.Is(err, ErrClosed) || called > 0 {
		t.Errorf("published: %v, received %d times", err, called)
	}
}

// Nobody subscribes any more while the driver closes.
func TestMemorySubscribedWhileItCloses(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	s, err := d.Subscriber("g")
	if err != nil {
		t.Fatal(err)
	}
	d.topics.close() // as Close begins
	if _, err := s.Subscribe(t.Context(), "t"); !errors.Is(err, ErrClosed) {
		t.Errorf("subscribed: %v", err)
	}
	if _, err := s.(Receiver).Receive("t", func(*message.Message) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("received: %v", err)
	}
	if groups := d.topics.groups("t"); groups != nil {
		t.Errorf("the topic has %v", groups)
	}
	_ = d.Close()
}

// A publisher that comes when a subscriber is being closed does not keep it from closing.
func TestMemoryClosesUnderALatePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewMemory(MemoryOptions{})
		s, _ := d.Subscriber("g")
		ch, err := s.Subscribe(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Publish("t", msg("x")); err != nil {
			t.Fatal(err)
		}
		groups := d.topics.groups("t") // the publisher has found it
		closed := make(chan struct{})
		go func() { defer close(closed); _ = s.Close() }()
		synctest.Wait()
		if err := groups[0].put(msg("late")); !errors.Is(err, ErrNoSubscribers) {
			t.Errorf("published to what closes: %v", err)
		}
		(<-ch).Ack()
		<-closed
		_ = d.Close()
	})
}

// A publisher takes no lock: what it has found does not change under it when others come and leave.
func TestMemoryPublishersSeeOneState(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	join := func() func() error {
		s, err := d.Subscriber("g")
		if err != nil {
			t.Fatal(err)
		}
		stop, err := s.(Receiver).Receive("t", func(*message.Message) {})
		if err != nil {
			t.Fatal(err)
		}
		return stop
	}
	first := join()
	found := d.topics.groups("t")
	second := join()
	both := d.topics.groups("t")
	if err := errors.Join(first(), second()); err != nil {
		t.Fatal(err)
	}
	if a, b := len(found[0].members), len(both[0].members); a != 1 || b != 2 {
		t.Errorf("what was found with one member has %d now, what was found with two has %d", a, b)
	}
}
