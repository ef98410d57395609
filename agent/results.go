package agent

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
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
}

// NewResults returns Results without any.
func NewResults() *Results { return &Results{id: newID()} }

// A work is what the calls with one key are about:
//
//	runs -> ended, its outcome kept -> outcome dropped -> forgotten
//	     -> refused before it began: forgotten at once
type work struct {
	id, arguments digest
	ctx           context.Context // of the first call, without its cancellation
	cancel        context.CancelFunc
	done          chan struct{} // closed when it has ended
	stranger      bool

	// under Results.mu
	waiting int       // calls that wait for it
	out     *outcome  // filled in before done is closed; nil when it was dropped
	cut     bool      // its context ended before it
	expires time.Time // zero while it runs
	kept    *list.Element
}

// An outcome is what a call gave. It is shared, and must not be changed.
type outcome struct {
	res *Result
	err error
}

// do runs the call, unless one with its key runs or has run: then that one's outcome is the answer.
// The work goes on as long as any call waits for it, until the deadline of the first.
func (k *Results) do(ctx context.Context, c *Call, run func(context.Context) (*Result, error)) (*Result, error) {
	if len(c.Key) > MaxKey {
		return nil, Refusedf(CodeInvalidArgument, "%s: an idempotency key of %d bytes, at most %d are allowed",
			c.Target(),
			len(c.Key), MaxKey)
	}
	w, out, first, err := k.join(ctx, c)
	if err != nil {
		return nil, err
	}
	if first {
		go func() { k.end(w, run) }() // do waits for it, and so does whoever else joins
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		if !k.leave(w) {
			return nil, Errorf(CodeOf(ctx.Err()), "%s: the call with this idempotency key runs on: %w", c.Target(),
				ctx.Err())
		}
		<-w.done
	}
	if !first && k.wasCut(w) {
		return nil, unknownWork(c, "was cancelled, or ran out of time")
	}
	return out.res, out.err
}

// join finds the work that c is about, or makes it: then c is the first.
func (k *Results) join(ctx context.Context, c *Call) (w *work, out *outcome, first bool, err error) {
	id, arguments := workOf(c), argumentsOf(c)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(time.Now())
	if w = k.works[id]; w != nil {
		switch {
		case w.arguments != arguments:
			return nil, nil, false, Refusedf(CodeInvalidArgument, "%s: the idempotency key %q stands for a call with "+
				"other "+
				"arguments", c.Target(), c.Key)
		case w.out == nil:
			return nil, nil, false, unknownWork(c, "has run, and its result is not kept any more")
		}
		w.waiting++
		return w, w.out, false, nil
	}
	if c.Keeper != "" && c.Keeper != k.id {
		return nil, nil, false, Refusedf(CodeUnavailable, "%s: the instance that the call is for is gone", c.Target())
	}
	if len(k.works) >= MaxKeyed || !c.From.Trusted && k.strangers >= MaxKeyedStrangers {
		full := Refusedf(CodeResourceExhausted, "%s: %d calls with idempotency keys are remembered, the limit",
			c.Target(), len(k.works))
		if oldest := k.ended.Front(); oldest != nil {
			full.RetryAfter = time.Until(oldest.Value.(*work).expires)
		}
		return nil, nil, false, full
	}
	w = &work{id: id, arguments: arguments, done: make(chan struct{}), waiting: 1, out: &outcome{}}
	w.ctx = context.WithoutCancel(ctx)
	if at, ok := ctx.Deadline(); ok {
		w.ctx, w.cancel = context.WithDeadline(w.ctx, at)
	} else {
		w.ctx, w.cancel = context.WithCancel(w.ctx)
	}
	if k.works == nil {
		k.works = map[digest]*work{}
	}
	k.works[id] = w
	if w.stranger = !c.From.Trusted; w.stranger {
		k.strangers++
	}
	return w, w.out, true, nil
}

// leave takes a call off the work, and reports whether it was the last: then the work is cancelled.
func (k *Results) leave(w *work) (last bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.waiting--; w.waiting > 0 {
		return false
	}
	if w.expires.IsZero() {
		w.cut = true
	}
	w.cancel()
	return true
}

func (k *Results) wasCut(w *work) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return w.cut
}

// end runs the work and keeps its outcome.
func (k *Results) end(w *work, run func(context.Context) (*Result, error)) {
	res, err := run(w.ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(w.done)
	defer w.cancel()
	*w.out = outcome{res, err}
	w.cut = w.cut || err != nil && w.ctx.Err() != nil
	w.expires = time.Now().Add(KeyedFor)
	if err != nil && AsError(err).NotExecuted {
		k.remove(w)
		return
	}
	k.ended.PushBack(w)
	w.kept = k.kept.PushBack(w)
	for k.bytes += w.out.size(); k.bytes > MaxKeyedBytes; {
		k.drop(k.kept.Front().Value.(*work))
	}
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
	n := 256
	if o.err != nil {
		e := AsError(o.err)
		return n + len(e.Message) + len(e.Details)
	}
	n += len(o.res.Structured) + len(o.res.Raw)
	for _, m := range o.res.Meta {
		n += len(m)
	}
	for _, c := range o.res.Content {
		n += 256 + len(c.Text) + len(c.Data) + len(c.Raw)
		if c.Resource != nil {
			n += len(c.Resource.Text) + len(c.Resource.Blob)
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
