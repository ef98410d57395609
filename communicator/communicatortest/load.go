package communicatortest

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
)

// load: many at once, and as large as it goes.
func load() []test {
	return []test{
		{"1,000 concurrent calls", nil, thousand},
		{"100 concurrent nested calls", nil, nestedLoad},
		{"input at the limit, and one byte above", []Feature{InputLimit}, inputLimit},
		{"a result at the limit, and far above", []Feature{ResultLimit}, resultLimit},
		{"a megabyte each way", nil, megabyte},
	}
}

// together makes n calls at once and reports each that fails or answers something else than
// want(i).
func (b *bench) together(n int, tool string, want func(i int) string) {
	b.Helper()
	ctx := b.ctx()
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			res, err := agent.CallTool(ctx, "callee."+tool, map[string]int{"n": i})
			if err != nil {
				b.Errorf("call %d: %v", i, err)
			} else if got := res.Text(); got != want(i) {
				b.Errorf("call %d gave %q", i, got)
			}
		})
	}
	close(begin)
	wg.Wait()
}

func thousand(b *bench) {
	var ran ledger
	b.tools(raw("count", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		ran.add(c)
		return &agent.Result{Content: []agent.Content{agent.Text(string(c.Input))}}, nil
	}))
	b.together(1000, "count", func(i int) string { return `{"n":` + strconv.Itoa(i) + `}` })
	if total, most := ran.count(); total != 1000 || most != 1 {
		b.Errorf("%d executions, at most %d of one call", total, most)
	}
}

func nestedLoad(b *bench) {
	b.serve("end", agent.Capabilities{Tools: []agent.Tool{echo()}})
	b.tools(raw("relay", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		res, err := agent.CallTool(ctx, "end.echo", c.Input)
		if err != nil {
			return nil, err
		}
		return agent.TextResult(string(res.Structured)), nil
	}))
	b.together(100, "relay", func(i int) string { return `{"n":` + strconv.Itoa(i) + `}` })
}

// padded is a JSON object of exactly size bytes.
func padded(size int) json.RawMessage {
	const frame = `{"pad":""}`
	return json.RawMessage(`{"pad":"` + strings.Repeat("x", size-len(frame)) + `"}`)
}

func sizeTool(ran *ledger) agent.Tool {
	return raw("size", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		ran.add(c)
		return agent.TextResult(strconv.Itoa(len(c.Input))), nil
	})
}

func inputLimit(b *bench) {
	var ran ledger
	b.tools(echo(), sizeTool(&ran))
	l := b.newLatch()
	b.serve("neighbour", agent.Capabilities{Tools: []agent.Tool{l.tool()}})
	if got := b.ask("size", padded(b.Limit)).Text(); got != strconv.Itoa(b.Limit) {
		b.Errorf("of %d bytes arrived %s", b.Limit, got)
	}
	inFlight := make(chan answer, 1)
	go func() {
		res, err := agent.CallTool(b.ctx(), "neighbour.latch", nil)
		inFlight <- answer{res, err}
	}()
	wait(b, l.began, "the neighbour")
	for _, size := range []int{b.Limit + 1, 2 * b.Limit, 4*b.Limit + 7} {
		b.want(b.refuse("size", padded(size)), true, agent.CodeResourceExhausted)
	}
	b.alive()
	l.free()
	if a := wait(b, inFlight, "the call that was in flight"); a.err != nil {
		b.Errorf("the call that was in flight: %v", a.err)
	}
	if total, _ := ran.count(); total != 1 {
		b.Errorf("%d executions, want the one within the limit", total)
	}
}

func resultLimit(b *bench) {
	var ran ledger
	b.tools(echo(), agent.NewTool("make", "", func(ctx context.Context, in map[string]int) (*agent.Result, error) {
		ran.add(agent.CallFrom(ctx))
		return &agent.Result{Structured: padded(in["size"])}, nil
	}))
	res := b.ask("make", map[string]int{"size": b.ResultLimit})
	if !sameJSON(res.Structured, padded(b.ResultLimit)) {
		b.Errorf("%d bytes arrived, want %d", len(res.Structured), b.ResultLimit)
	}
	b.want(b.refuse("make", map[string]int{"size": 2 * b.ResultLimit}), false, agent.CodeResourceExhausted)
	b.alive()
	if total, most := ran.count(); total != 2 || most != 1 {
		b.Errorf("%d executions, at most %d of one call", total, most)
	}
}

func megabyte(b *bench) {
	b.tools(echo())
	size := 1 << 20
	for _, limit := range []int{b.Limit, b.ResultLimit} {
		if limit > 0 {
			size = min(size, limit)
		}
	}
	in := padded(size)
	if res := b.ask("echo", in); !sameJSON(res.Structured, in) {
		b.Errorf("%d bytes arrived, want %d", len(res.Structured), len(in))
	}
}
