package calls

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
)

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := Limit(time.Minute, "defaults.timeout")
		call := limit(agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			switch c.Name {
			case "hangs":
				<-ctx.Done()
				return nil, ctx.Err()
			case "tells":
				<-ctx.Done()
				return nil, fmt.Errorf("ask the weather: %w", ctx.Err())
			case "early":
				return nil, agent.AsError(context.DeadlineExceeded)
			case "knows":
				return nil, agent.Errorf(agent.CodeDeadlineExceeded, "the weather is late")
			case "fails":
				return nil, agent.Errorf(agent.CodeToolFailed, "no")
			}
			return &agent.Result{}, nil
		}))
		for _, c := range []struct {
			call agent.Call
			code agent.Code
			took time.Duration
		}{
			{agent.Call{Depth: MaxDepth}, "", 0},
			{agent.Call{Depth: MaxDepth + 1}, agent.CodeResourceExhausted, 0},
			{agent.Call{Name: "hangs"}, agent.CodeDeadlineExceeded, time.Minute},
			{agent.Call{Name: "fails"}, agent.CodeToolFailed, 0},
		} {
			began := time.Now()
			_, err := call.Call(t.Context(), &c.call)
			if (err != nil) != (c.code != "") || err != nil && agent.CodeOf(err) != c.code ||
				time.Since(began) != c.took {
				t.Errorf("%+v: %v after %v", c.call, err, time.Since(began))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := call.Call(ctx, &agent.Call{Name: "hangs"}); agent.CodeOf(err) != agent.CodeDeadlineExceeded ||
			strings.Contains(err.Error(), "defaults.timeout") {
			t.Error("the limit of whoever calls:", err)
		}
		// another process may notice the end of that time a moment before this one does
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := call.Call(ctx, &agent.Call{Agent: "far", Name: "early"}); agent.AsError(err).Message !=
			"far.early: not done before the deadline of its caller" {
			t.Error("a moment early:", err)
		}
		for name, want := range map[string][2]string{
			"hangs": {"far.hangs: not done within 1m0s, its timeout (defaults.timeout)", "far.hangs: not done before the deadline of its caller"},
			"tells": {"ask the weather: not done within 1m0s, its timeout (defaults.timeout)",
				"ask the weather: not done before the deadline of its caller"},
			"knows": {"the weather is late", "the weather is late"},
		} {
			c := &agent.Call{Agent: "far", Name: name}
			_, own := call.Call(t.Context(), c)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, above := call.Call(ctx, c)
			if agent.AsError(own).Message != want[0] || agent.AsError(above).Message != want[1] ||
				!errors.Is(own, context.DeadlineExceeded) || !errors.Is(above, context.DeadlineExceeded) {
				t.Errorf("%s: %v, %v; want %q", name, own, above, want)
			}
		}
	})
}
