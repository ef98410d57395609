package agent

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// Bounds of what an agent keeps of calls with an idempotency key, in each process.
const (
	// KeyedFor is how long a call is remembered after its end.
	KeyedFor = 10 * time.Minute
	// MaxKeyed is how many calls are remembered. One more is resource_exhausted until the oldest is
	// forgotten.
	MaxKeyed = 1 << 16
	// MaxKeyedStrangers is how many of these may be of callers that are not trusted.
	MaxKeyedStrangers = MaxKeyed / 4
	// MaxKeyedBytes is about how many bytes of results are kept. The oldest are dropped for new
	// ones: a call with the same key is outcome_unknown then, and still does not run twice.
	MaxKeyedBytes = 16 << 20
	// MaxKey is how many bytes a key may have.
	MaxKey = 256
)

// Results are what the calls with an idempotency key gave. The instances of an agent in one process
// share one, so that each of them answers for all: see [Env.Results]. They are safe for concurrent
// use.
type Results struct {
	id string // see [Info.Keeper]

	mu    sync.Mutex
	works map[digest]*work
	ended list.List // of *work, the oldest first
	kept  list.List // of *work: those of ended whose outcome is kept
	bytes int       // of the outcomes kept
	// strangers is how many works are of callers that are not trusted.
	strangers int
	// sweeping: a timer runs, at whose end the oldest are forgotten.
	sweeping bool
}

// NewResults returns Results without any.
func NewResults() *Results { return &Results{id: newID()} }

// A work is what the calls with one key are about:
//
//	runs -> ended, its outcome kept -> outcome dropped -> forgotten
//	     -> refused before it began, or to be made anew: forgotten at once
type work struct {
	id, arguments digest
	stranger      bool
	callers       callers       // those that wait for it
	done          chan struct{} // closed when it has ended

	// under Results.mu
	cancel  context.CancelFunc // ends its context; nil when it has ended, so that nothing of the call is held
	anew    bool               // its last caller left in order to make the call anew
	out     *outcome           // filled in before done is closed; nil when it was dropped
	expires time.Time
	kept    *list.Element
}

// An outcome is what a call gave. It is shared, and must not be changed.
type outcome struct {
	res *Result
	err error
	// cut: its context had ended when it failed, so the failure says nothing about it.
	cut bool
	// anew: it counts for its own caller only.
	anew bool
}

// do runs the call, unless one with its key runs or has run: then that one's outcome is the answer.
// The work goes on as long as any call waits for it, until the deadline of the first.
//
// A caller may end its call in order to make it anew: see [ErrAnswersFollow].
func (k *Results) do(ctx context.Context, c *Call, run func(context.Context, *Call) (*Result, error)) (*Result, error) {
	if len(c.Key) > MaxKey {
		return nil, Refusedf(CodeInvalidArgument, "%s: an idempotency key of %d bytes, at most %d are allowed",
			c.Target(), len(c.Key), MaxKey)
	}
	for {
		me := &caller{ctx: ctx, back: c.Back, left: make(chan struct{})}
		w, out, mine, err := k.join(me, c)
		if err != nil {
			return nil, err
		}
		first := mine != nil
		if first {
			go k.run(mine, w, c, run) // do waits for it, and so does whoever else joins
		}
		select {
		case <-w.done:
			close(me.left)
		case <-ctx.Done():
			if !k.leave(w, me) {
				return nil, Errorf(CodeOf(ctx.Err()), "%s: the call with this idempotency key runs on: %w", c.Target(),
					ctx.Err())
			}
			<-w.done
		}
		switch {
		case first || ctx.Err() != nil || !out.cut && !out.anew:
			return out.res, out.err
		case !out.anew:
			return nil, unknownWork(c, "was cancelled, or ran out of time")
		}
	}
}

// join finds the work that c is about, or makes it: then mine is the context for it.
func (k *Results) join(me *caller, c *Call) (w *work, out *outcome, mine context.Context, err error) {
	id, arguments := workOf(c), argumentsOf(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(time.Now())
	if w = k.works[id]; w != nil {
		switch {
		case w.arguments != arguments:
			return nil, nil, nil, Refusedf(CodeInvalidArgument,
				"%s: the idempotency key %q stands for a call with other arguments", c.Target(), c.Key)
		case w.out == nil:
			return nil, nil, nil, unknownWork(c, "has run, and its result is not kept any more")
		}
		w.callers.add(me)
		return w, w.out, nil, nil
	}
	if c.Keeper != "" && c.Keeper != k.id {
		return nil, nil, nil, Refusedf(CodeUnavailable, "%s: the instance that the call is for is gone", c.Target())
	}
	if len(k.works) >= MaxKeyed || !c.From.Trusted && k.strangers >= MaxKeyedStrangers {
		full := Refusedf(CodeResourceExhausted, "%s: %d calls with idempotency keys are remembered, the limit",
			c.Target(), len(k.works))
		if oldest := k.ended.Front(); oldest != nil {
			full.RetryAfter = time.Until(oldest.Value.(*work).expires)
		}
		return nil, nil, nil, full
	}
	w = &work{id: id, arguments: arguments, done: make(chan struct{}), out: &outcome{}}
	w.callers.add(me)
	mine = context.WithoutCancel(me.ctx)
	if at, ok := me.ctx.Deadline(); ok {
		mine, w.cancel = context.WithDeadline(mine, at)
	} else {
		mine, w.cancel = context.WithCancel(mine)
	}
	if k.works == nil {
		k.works = map[digest]*work{}
	}
	k.works[id] = w
	if w.stranger = !c.From.Trusted; w.stranger {
		k.strangers++
	}
	return w, w.out, mine, nil
}

// leave takes a call off the work, and reports whether it was the last: then the work is cancelled.
// The call's back-channel is not used any more.
func (k *Results) leave(w *work, me *caller) (last bool) {
	k.mu.Lock()
	if last = w.callers.remove(me); last && w.cancel != nil {
		w.anew = errors.Is(context.Cause(me.ctx), ErrAnswersFollow)
		w.cancel()
	}
	k.mu.Unlock()
	close(me.left)
	me.using.Wait()
	return last
}

// run runs the work. What ends its goroutine is an error, so that nobody waits for ever.
func (k *Results) run(ctx context.Context, w *work, c *Call, run func(context.Context, *Call) (*Result, error)) {
	out := outcome{err: Errorf(CodeInternal, "%s ended its goroutine", c.Target())}
	defer func() { k.end(ctx, w, out) }()
	own := *c
	own.Back = &w.callers
	out.res, out.err = run(ctx, &own)
}

// end keeps the outcome of a work.
func (k *Results) end(ctx context.Context, w *work, out outcome) {
	w.callers.end()
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(w.done)
	out.cut, out.anew = out.err != nil && ctx.Err() != nil, w.anew
	*w.out = out
	w.cancel()
	w.cancel = nil
	if out.anew || out.err != nil && AsError(out.err).NotExecuted {
		k.remove(w)
		return
	}
	w.expires = time.Now().Add(KeyedFor)
	k.ended.PushBack(w)
	w.kept = k.kept.PushBack(w)
	for k.bytes += w.out.size(); k.bytes > MaxKeyedBytes; {
		k.drop(k.kept.Front().Value.(*work))
	}
	k.sweepLater()
}

// sweepLater has the oldest forgotten at their time, if there are any.
func (k *Results) sweepLater() {
	oldest := k.ended.Front()
	if oldest == nil || k.sweeping {
		return
	}
	k.sweeping = true
	time.AfterFunc(time.Until(oldest.Value.(*work).expires), func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.sweeping = false
		k.forget(time.Now())
		k.sweepLater()
	})
}

// drop gives up the outcome of a work that has ended, and remembers that it has.
func (k *Results) drop(w *work) {
	if w.out != nil {
		k.bytes -= w.out.size()
		k.kept.Remove(w.kept)
		w.out, w.kept = nil, nil
	}
}

// forget forgets the works whose time is over.
func (k *Results) forget(now time.Time) {
	for e := k.ended.Front(); e != nil; e = k.ended.Front() {
		w := e.Value.(*work)
		if now.Before(w.expires) {
			return
		}
		k.drop(w)
		k.ended.Remove(e)
		k.remove(w)
	}
}

func (k *Results) remove(w *work) {
	delete(k.works, w.id)
	if w.stranger {
		k.strangers--
	}
}

func unknownWork(c *Call, what string) *Error {
	return Errorf(CodeOutcomeUnknown, "%s: the first call with this idempotency key %s", c.Target(), what)
}

// size is about what an outcome holds, in bytes.
func (o *outcome) size() int {
	const each = 256 // of what has no length of its own
	n := each
	if o.err != nil {
		e := AsError(o.err)
		return n + len(e.Message) + len(e.Details)
	}
	n += len(o.res.Structured) + len(o.res.Raw)
	for name, m := range o.res.Meta {
		n += each + len(name) + len(m)
	}
	for _, c := range o.res.Content {
		n += each + len(c.Text) + len(c.Data) + len(c.URI) + len(c.Name) + len(c.Title) + len(c.Description) +
			len(c.Annotations) + len(c.Meta) + len(c.Raw)
		if r := c.Resource; r != nil {
			n += len(r.URI) + len(r.Text) + len(r.Blob) + len(r.Meta)
		}
	}
	if p := o.res.Pending; p != nil {
		n += len(p.State)
		for id, r := range p.Requests {
			n += each + len(id) + len(r.Params)
		}
	}
	return n
}

type digest = [sha256.Size]byte

// digestOf tells lists of parts apart.
func digestOf(parts ...[]byte) (d digest) {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	h.Sum(d[:0])
	return d
}

// workOf names the work of a call: its key, as its caller means it. The answers to what an earlier
// result wanted make it another one.
func workOf(c *Call) digest {
	parts := [][]byte{[]byte(c.From.User), []byte(c.From.Agent), []byte(c.Key), []byte(c.State)}
	for _, id := range slices.Sorted(maps.Keys(c.Inputs)) {
		parts = append(parts, []byte(id), c.Inputs[id])
	}
	return digestOf(parts...)
}

// argumentsOf tells apart what calls with one key ask for. How their JSON is written does not
// matter.
func argumentsOf(c *Call) digest {
	input := []byte(objectOr(c.Input))
	d := json.NewDecoder(bytes.NewReader(input))
	d.UseNumber()
	var v any
	if d.Decode(&v) == nil {
		if same, err := json.Marshal(v); err == nil { // with the members in order
			input = same
		}
	}
	return digestOf([]byte(c.Op), []byte(c.Name), input)
}
