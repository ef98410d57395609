//go:build unix

package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// clerks is a desk that has a clerk write each order into a ledger, and says which edition of the
// program and of the project file has done it.
const clerks = `package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

const edition = 0

type Order struct {
	N int ` + "`json:\"n\"`" + `
}

type Done struct {
	Program, Project int
}

type Clerk struct {
	Ledger  string
	Edition int
}

func (c *Clerk) Write(_ context.Context, o Order) (Done, error) {
	f, err := os.OpenFile(c.Ledger, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Done{}, err
	}
	_, err = fmt.Fprintln(f, o.N)
	return Done{edition, c.Edition}, errors.Join(err, f.Close())
}

func (c *Clerk) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("write", "Write an order.", c.Write)}}
}

type Desk struct{}

func (Desk) Order(ctx context.Context, o Order) (Done, error) { return agent.Ask[Done](ctx, "clerk.write", o) }

func (d Desk) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("order", "Order something.", d.Order)}}
}

func main() {
	openmas.Main(agent.Types{"clerk": func() agent.Agent { return &Clerk{} },
		"desk": func() agent.Agent { return Desk{} }})
}
`

// A load is callers through the gateway.
type load struct {
	*testkit.Load
	program atomic.Int64 // the newest edition that was seen
	project atomic.Int64
}

func startLoad(t *testing.T, url, ledger string, callers int) *load {
	t.Helper()
	sessions := make([]*client.Session, callers)
	for i := range sessions {
		s, err := client.Connect(t.Context(), client.Target{Name: "gateway", Transport: mcp.Streamable,
			URL: url + mcp.StreamableEndpoint}, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // after the load
			if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		sessions[i] = s
	}
	l := &load{Load: testkit.NewLoad(t, ledger)}
	for _, s := range sessions {
		l.Caller(func(n int) error { return l.order(context.WithoutCancel(t.Context()), s, n) })
	}
	return l
}

func (l *load) order(ctx context.Context, s *client.Session, n int) error {
	res, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "desk_order",
		Input: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)), Attempt: 1})
	if err != nil {
		return err
	}
	var done struct{ Program, Project int64 }
	if err := res.Decode(&done); err != nil {
		return err
	}
	for of, edition := range map[*atomic.Int64]int64{&l.program: done.Program, &l.project: done.Project} {
		if was := of.Load(); edition > was {
			of.CompareAndSwap(was, edition)
		}
	}
	return nil
}

// Twenty edits under load, each of the Go file and of the project file, lose no call. The sessions
// of the callers go on. OPENMAS_TEST_EDITS is how many there are.
func TestDevUnderLoad(t *testing.T) {
	edits := 4
	if n, err := strconv.Atoi(os.Getenv("OPENMAS_TEST_EDITS")); err == nil {
		edits = n
	}
	b := newBench(t)
	b.makeDemo()
	ledger := filepath.Join(b.Dir, "ledger")
	projectFile := func(edition int) {
		b.write("demo/openmas.yaml", fmt.Sprintf(`project: demo
package: .
agents:
  clerk: {type: clerk, config: {ledger: %q, edition: %d}}
  desk: {type: desk}
gateway: {listen: "127.0.0.1:0"}
`, ledger, edition))
	}
	projectFile(0)
	b.write("demo/main.go", clerks)
	r := b.dev("demo/openmas.yaml")
	r.await("SSE_SERVER_URL=")
	l := startLoad(t, strings.TrimSpace(r.await("\n")), ledger, 4)
	var swaps, saves []time.Duration
	for n := 1; n <= edits; n++ {
		b.edit("demo/main.go", fmt.Sprintf("const edition = %d", n-1), fmt.Sprintf("const edition = %d", n))
		r.await("openmas: built in ")
		built := time.Now()
		testkit.Eventually(t, "the program is live", func() bool { return l.program.Load() == int64(n) }, &r.err)
		swaps = append(swaps, time.Since(built))
		r.await("live after")
		projectFile(n)
		saved := time.Now()
		testkit.Eventually(t, "the project file is live", func() bool { return l.project.Load() == int64(n) }, &r.err)
		saves = append(saves, time.Since(saved))
		r.await("live after")
	}
	l.Audit()
	for what, all := range map[string][]time.Duration{"from the end of the build": swaps,
		"from the save of the project file": saves} {
		slices.Sort(all)
		t.Logf("live %s: median %v, worst %v", what, all[len(all)/2].Round(time.Millisecond),
			all[len(all)-1].Round(time.Millisecond))
	}
}
