package communicatortest

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
)

// keys: calls with an idempotency key.
func keys() []test {
	return []test{
		{"calls with one key run once", nil, oneKey},
		{"a call with a key waits for the one that runs", nil, waitsForKey},
		{"a caller of a key leaves while another waits", nil, firstOfKeyLeaves},
		{"a call with a key for another generation", nil, otherGeneration},
		{"a call with a key, made again after a loss", []Feature{Connection}, keyAfterLoss},
	}
}

// counter is the tool "count" that answers with how often it ran, once it may.
func counter(ran *atomic.Int64, may <-chan struct{}) agent.Tool {
	return raw("count", func(context.Context, *agent.Call) (*agent.Result, error) {
		n := ran.Add(1)
		<-may
		return &agent.Result{Structured: json.RawMessage(`{"run":` + strconv.FormatInt(n, 10) + `}`)}, nil
	})
}

func closed() <-chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}

// keyed is a direct call of "count" with a key.
func (b *bench) keyed(key, input string) *agent.Call {
	c := b.direct("count")
	c.Key, c.Input = key, json.RawMessage(input)
	return c
}

func oneKey(b *bench) {
	var ran atomic.Int64
	b.tools(counter(&ran, closed()))
	for _, tt := range []struct {
		key, input string
		run        int
	}{{"k 1 / ß", `{"x":1}`, 1}, {"k 1 / ß", `{"x":1}`, 1}, {"other", `{"x":1}`, 2}, {"other", `{ "x": 1 }`, 2}} {
		res, err := b.dir.Call(b.ctx(), b.keyed(tt.key, tt.input))
		if want := `{"run":` + strconv.Itoa(tt.run) + `}`; err != nil || res.Text() != want {
			b.Errorf("the call with the key %s gave %+v, %v, want %s", tt.key, res, err, want)
		}
	}
	res, err := b.dir.Call(b.ctx(), b.keyed("other", `{"x":2}`))
	b.want(b.failed(res, err), true, agent.CodeInvalidArgument)
	other := b.keyed("other", `{"x":1}`)
	other.From.User = "ann"
	if res, err := b.dir.Call(b.ctx(), other); err != nil || res.Text() != `{"run":3}` {
		b.Errorf("the call of another user gave %+v, %v", res, err)
	}
}

func waitsForKey(b *bench) {
	var ran atomic.Int64
	may := make(chan struct{})
	b.tools(counter(&ran, may))
	answers := make(chan answer, 3)
	for range cap(answers) {
		go func() {
			res, err := b.dir.Call(b.ctx(), b.keyed("k", `{}`))
			answers <- answer{res, err}
		}()
	}
	b.eventually("the tool runs", func() bool { return ran.Load() > 0 })
	close(may)
	for range cap(answers) {
		if a := wait(b, answers, "an answer"); a.err != nil || a.res.Text() != `{"run":1}` {
			b.Errorf("one of the calls gave %v", a)
		}
	}
}

// firstOfKeyLeaves: the tool tells all who wait for it. What it asks when the first has left, it
// asks the other, who gets the result.
func firstOfKeyLeaves(b *bench) {
	var ran atomic.Int64
	tell, ask := make(chan struct{}), make(chan struct{})
	b.tools(raw("pay", func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
		ran.Add(1)
		for told := 1.0; ; told++ {
			select {
			case <-tell:
				agent.Progress(ctx, told, 0, "")
				continue
			case <-ask:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			roots, err := agent.Roots(ctx)
			if err != nil {
				return nil, err
			}
			return agent.TextResult(roots[0].URI), nil
		}
	}))
	heard := map[string]*atomic.Int64{"first": {}, "second": {}}
	call := func(ctx context.Context, who string) <-chan answer {
		c := b.keyed("k", `{}`)
		c.Name, c.ID = "pay", who
		c.Back = agent.BackChannelFuncs{OnProgress: func(agent.ProgressNotice) { heard[who].Add(1) },
			Roots: func(context.Context) ([]agent.Root, error) {
				return []agent.Root{{URI: "file:///" + who}}, nil
			}}
		got := make(chan answer, 1)
		go func() {
			res, err := b.dir.Call(ctx, c)
			got <- answer{res, err}
		}()
		return got
	}
	hears := func(who string) {
		b.eventually(who+" is told", func() bool {
			select {
			case tell <- struct{}{}:
			default:
			}
			return heard[who].Load() > 0
		})
	}
	ctx, leave := context.WithCancel(b.ctx())
	defer leave()
	first := call(ctx, "first")
	hears("first")
	second := call(b.ctx(), "second")
	hears("second")
	leave()
	a := wait(b, first, "the end of the first call")
	b.want(b.failed(a.res, a.err), false, agent.CodeCanceled)
	by := heard["first"].Load()
	heard["second"].Store(0)
	hears("second")
	if n := heard["first"].Load(); n != by {
		b.Errorf("the first was told %d times after its end", n-by)
	}
	close(ask)
	if a := wait(b, second, "the result"); a.err != nil || a.res.Text() != "file:///second" || ran.Load() != 1 {
		b.Errorf("the second got %v after %d runs", a, ran.Load())
	}
}

func otherGeneration(b *bench) {
	var ran atomic.Int64
	b.tools(counter(&ran, closed()))
	p, err := b.dir.peer(b.short(), "callee")
	if err != nil {
		b.Fatal(err)
	}
	if p.Info().Keeper == "" {
		b.Fatal("the agent does not say that it keeps the results of calls with keys")
	}
	c := b.keyed("k", `{}`)
	c.Keeper = "another"
	res, err := p.Call(b.ctx(), c)
	b.want(b.failed(res, err), true, agent.CodeUnavailable)
	c.Keeper = p.Info().Keeper
	if res, err := p.Call(b.ctx(), c); err != nil || res.Text() != `{"run":1}` {
		b.Errorf("the call for this generation gave %+v, %v", res, err)
	}
}

func keyAfterLoss(b *bench) {
	var ran atomic.Int64
	may := make(chan struct{})
	b.tools(counter(&ran, may))
	first := make(chan answer, 1)
	go func() {
		res, err := b.dir.Call(b.ctx(), b.keyed("k", `{}`))
		first <- answer{res, err}
	}()
	b.eventually("the tool runs", func() bool { return ran.Load() > 0 })
	b.Sever()
	a := wait(b, first, "the end of the call")
	b.want(b.failed(a.res, a.err), false, agent.CodeOutcomeUnknown)
	close(may)
	b.dir.drop(b.short(), "callee")
	var again answer
	b.eventually("the call is made again", func() bool {
		again.res, again.err = b.dir.Call(b.ctx(), b.keyed("k", `{}`))
		if again.err != nil && agent.AsError(again.err).NotExecuted {
			b.dir.drop(b.short(), "callee")
			return false
		}
		return true
	})
	switch { // its context may have ended with the connection
	case again.err != nil && agent.CodeOf(again.err) != agent.CodeOutcomeUnknown:
		b.Errorf("made again, the call gave %v", again)
	case again.err == nil && again.res.Text() != `{"run":1}`:
		b.Errorf("made again, the call gave %v", again)
	}
	if n := ran.Load(); n != 1 {
		b.Errorf("the tool ran %d times", n)
	}
}
