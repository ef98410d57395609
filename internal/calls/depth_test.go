package calls

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
)

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := Limit(time.Minute)(agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			switch c.Name {
			case "hangs":
				<-ctx.Done()
				return nil, ctx.Err()
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
		if _, err := call.Call(ctx, &agent.Call{Name: "hangs"}); agent.CodeOf(err) != agent.CodeDeadlineExceeded {
			t.Error(err)
		}
	})
}
