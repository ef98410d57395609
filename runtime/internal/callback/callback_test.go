package callback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
)

const parent = "00-%032d-%016d-01"

func traced(trace, span int) map[string]string {
	return map[string]string{"traceparent": fmt.Sprintf(parent, trace, span)}
}

// serving begins a call that ends with its context, or with an answer once finish is called.
func serving(ctx context.Context, s *Served, c *agent.Call) (finish func()) {
	answer, done := make(chan struct{}), make(chan struct{})
	began := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Call(ctx, c, agent.CallerFunc(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
			close(began)
			select {
			case <-answer:
				return &agent.Result{}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}))
	}()
	<-began
	return func() {
		select {
		case <-answer:
		default:
			close(answer)
		}
		<-done
	}
}

// A call back is charged to the call that it names, even by its trace alone, else to the deepest of
// those that are served, with the latest of their deadlines.
func TestWhichCallItBelongsTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Served
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		long, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		defer serving(long, &s, &agent.Call{ID: "a", Agent: "docs", Root: "a", Depth: 1, Path: []string{"desk"},
			Meta: traced(1, 1)})()
		defer serving(short, &s, &agent.Call{ID: "b", Agent: "docs", Root: "r", Depth: 5,
			Path: []string{"x", "y"}, Meta: traced(2, 2)})()
		for name, c := range map[string]struct {
			meta  map[string]string
			depth int
			root  string
			path  []string
			left  time.Duration
		}{
			"by its span":      {traced(1, 1), 2, "a", []string{"desk", "docs"}, time.Minute},
			"by its trace":     {traced(2, 9), 6, "r", []string{"x", "y", "docs"}, time.Second},
			"untold":           {nil, 6, "r", []string{"x", "y", "docs"}, time.Minute},
			"of another trace": {traced(3, 3), 6, "r", []string{"x", "y", "docs"}, time.Minute},
			"malformed":        {map[string]string{"traceparent": "00-1"}, 6, "r", []string{"x", "y", "docs"}, time.Minute},
		} {
			ctx, got, end, err := s.Charge(t.Context(), "docs", &agent.Call{ID: "c", Root: "c", Meta: c.meta})
			if err != nil {
				t.Fatal(name, err)
			}
			at, _ := ctx.Deadline()
			if got.Depth != c.depth || got.Root != c.root || !slices.Equal(got.Path, c.path) ||
				time.Until(at) != c.left || got.ID != "c" {
				t.Errorf("%s: %+v, %v left", name, got, time.Until(at))
			}
			end()
		}
	})
}

// What a program does on its own is an entry call.
func TestAProgramThatServesNothing(t *testing.T) {
	var s Served
	c := &agent.Call{Meta: traced(1, 1)}
	serving(t.Context(), &s, c)()
	ctx, got, end, err := s.Charge(t.Context(), "docs", c)
	if err != nil || got != c || ctx != t.Context() {
		t.Error(got, err)
	}
	end()
}

// A call back ends when the call that it belongs to is given up, and not when that is answered.
// What comes after it was given up is refused: for a while if it names nothing, for longer if it
// does.
func TestItEndsWithItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Served
		first, giveUp := context.WithCancel(t.Context())
		end := serving(first, &s, &agent.Call{Agent: "docs", Name: "work", Meta: traced(1, 1)})
		finish := serving(t.Context(), &s, &agent.Call{Agent: "docs", Name: "rest", Meta: traced(2, 2)})
		named, _, done, _ := s.Charge(t.Context(), "docs", &agent.Call{Meta: traced(1, 1)})
		defer done()
		untold, _, done, _ := s.Charge(t.Context(), "docs", &agent.Call{})
		defer done()
		giveUp()
		end()
		if !errors.Is(context.Cause(named), agent.CodeCanceled) || untold.Err() != nil {
			t.Error(context.Cause(named), untold.Err())
		}
		_, _, _, err := s.Charge(t.Context(), "docs", &agent.Call{Agent: "far", Name: "x", Meta: traced(1, 1)})
		if e := agent.AsError(err); e.Code != agent.CodeCanceled || !e.NotExecuted ||
			!strings.Contains(e.Message, "it belongs to a call of docs.work that was given up") {
			t.Error(err)
		}
		if _, got, done, err := s.Charge(t.Context(), "docs", &agent.Call{}); err != nil || got.Depth != 1 {
			t.Error(got, err)
		} else {
			done()
		}
		finish()
		if untold.Err() != nil {
			t.Error("cut although one of its calls was answered")
		}
		if _, _, _, err := s.Charge(t.Context(), "docs", &agent.Call{}); agent.CodeOf(err) != agent.CodeCanceled {
			t.Error(err)
		}
		time.Sleep(traceless)
		if _, got, _, err := s.Charge(t.Context(), "docs", &agent.Call{}); err != nil || got.Depth != 0 {
			t.Error(got, err)
		}
		if _, _, _, err := s.Charge(t.Context(), "docs", &agent.Call{Meta: traced(1, 7)}); err == nil {
			t.Error("a call of its trace passes")
		}
		s.Forget()
		if _, _, _, err := s.Charge(t.Context(), "docs", &agent.Call{Meta: traced(1, 1)}); err != nil {
			t.Error("of a program that has ended:", err)
		}
	})
}

// However many calls are given up, few are remembered, and none that has ended.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	var s Served
	for range 3 * maxGivenUp {
		ctx, cancel := context.WithCancel(t.Context())
		end := serving(ctx, &s, &agent.Call{Meta: traced(1, 1)})
		_, _, done, err := s.Charge(ctx, "docs", &agent.Call{Meta: traced(1, 1)})
		if err == nil {
			done()
		}
		cancel()
		end()
	}
	if len(s.givenUp) != maxGivenUp || len(s.open) != 0 {
		t.Error(len(s.givenUp), len(s.open))
	}
}
