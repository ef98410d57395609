package calls

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/openmas/openmas/agent"
)

func notice(i int) agent.Notice {
	return agent.Notice{Log: &agent.LogNotice{Logger: strconv.Itoa(i)}}
}

type receiver func(agent.Notice)

func (r receiver) Deliver(n agent.Notice) { r(n) }

// A slow receiver gets the notices in order, one at a time, as many as may wait; Close lets it
// finish.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		next := make(chan struct{})
		q := Notices{Limit: 2, To: receiver(func(n agent.Notice) {
			<-next
			got = append(got, n.Log.Logger)
		})}
		add := func(from, to int) {
			for i := from; i < to; i++ {
				if err := q.Add(notice(i)); err != nil {
					t.Errorf("notice %d: %v", i, err)
				}
			}
		}
		add(0, 1)
		synctest.Wait() // 0 is being delivered
		add(1, 3)
		if err := q.Add(notice(3)); err == nil || err.Error() != "2 notices of the call wait already" {
			t.Errorf("one more than may wait: %v", err)
		}
		next <- struct{}{}
		synctest.Wait()
		add(4, 5)
		for range 3 {
			next <- struct{}{}
		}
		synctest.Wait()
		add(5, 6) // after it had nothing to do
		if q.Closed() {
			t.Error("it is closed before Close")
		}
		idle := q.Close()
		if err := q.Add(notice(6)); err == nil || err.Error() != "the call is over" || !q.Closed() {
			t.Errorf("added after Close: %v", err)
		}
		synctest.Wait()
		select {
		case <-idle:
			t.Error("it says that all is delivered while one is on its way")
		default:
		}
		next <- struct{}{}
		<-idle
		<-q.Close()
		if want := []string{"0", "1", "2", "4", "5"}; !slices.Equal(got, want) {
			t.Errorf("delivered %v, want %v", got, want)
		}
	})
}

// A call without notices ends at once, and has paid nothing for them.
func TestNoNotices(t *testing.T) {
	queues := make([]Notices, 11) // one is to warm up
	if n := testing.AllocsPerRun(len(queues)-1, func() {
		q := &queues[0]
		queues = queues[1:]
		<-q.Close()
		<-q.Close()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
