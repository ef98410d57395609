package server

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp"
)

// The end of a session ends its calls, whatever their own request or connection is up to.
func TestTheEndOfASessionEndsItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, timeout := range []time.Duration{0, time.Hour} {
			began, ended := make(chan struct{}), make(chan error, 1)
			s := agent.CallerFunc(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
				close(began)
				<-ctx.Done()
				return nil, ctx.Err()
			})
			info := agent.Info{Name: "a",
				Tools: []agent.ToolInfo{{Name: "wait", InputSchema: json.RawMessage(`{"type":"object"}`)}}}
			ep := soleEndpoint(Options{}.withDefaults(), info, s, new(calls.Gate), nil)
			c := newSession(t.Context(), ep, mcp.Streamable, Identity{}, nil)
			r := &request{op: agent.OpTool, name: "wait"}
			r.meta.Timeout = timeout
			go func() {
				_, err := ep.serveCall(context.WithoutCancel(t.Context()), c, r, nil)
				ended <- err
			}()
			synctest.Wait()
			select {
			case err := <-ended:
				t.Fatalf("it ended too early: %v", err)
			case <-began:
			}
			c.cancel()
			synctest.Wait()
			select {
			case err := <-ended:
				if agent.CodeOf(err) != agent.CodeCanceled {
					t.Error(err)
				}
			default:
				t.Fatalf("timeout %v: the call of a session that has ended still runs", timeout)
			}
		}
	})
}
