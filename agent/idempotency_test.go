package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/openmas/openmas/agent"
)

// till is an agent whose tool must not run twice.
type till struct {
	*agent.Host
	ran atomic.Int64
}

// newTill returns one whose tools charge and refund do what work does.
func newTill(t testing.TB, work func(ctx context.Context, in json.RawMessage, n int64) (*agent.Result, error)) *till {
	t.Helper()
	x := &till{}
	run := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		return work(ctx, c.Input, x.ran.Add(1))
	})
	schema := json.RawMessage(`{"type":"object","properties":{"sum":{"type":"number"}}}`)
	var err error
	x.Host, err = agent.NewHost(agent.Env{Name: "till"}, agent.Capabilities{
		Tools: []agent.Tool{agent.RawTool("charge", "", schema, run), agent.RawTool("refund", "", schema, run)},
		Subscriptions: []agent.Subscription{agent.On("paid", func(context.Context, any) error {
			x.ran.Add(1)
			return nil
		})}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func counted(_ context.Context, in json.RawMessage, n int64) (*agent.Result, error) {
	if strings.Contains(string(in), "13") {
		return nil, errors.New("unlucky")
	}
	return agent.TextResult(fmt.Sprint("run ", n)), nil
}

// charge is a call of the tool for ann, as the agent shop, with the key k.
func charge(change ...func(*agent.Call)) *agent.Call {
	c := &agent.Call{ID: "1", Op: agent.OpTool, Agent: "till", Name: "charge", Key: "k",
		Input: json.RawMessage(`{"sum":5,"to":"ann"}`), From: agent.Identity{Agent: "shop", User: "ann", Trusted: true}}
	for _, f := range change {
		f(c)
	}
	return c
}

func TestCallsWithOneKeyRunOnce(t *testing.T) {
	x := newTill(t, counted)
	for _, tt := range []struct {
		name   string
		change func(*agent.Call)
		want   string // the result, or the code and a part of the message
		runs   int64  // so far
	}{
		{"first", func(*agent.Call) {}, "run 1", 1},
		{"again", func(c *agent.Call) { c.ID, c.Attempt = "2", 2 }, "run 1", 1},
		{"written otherwise", func(c *agent.Call) {
			c.Input = json.RawMessage(` {"to": "ann", "sum": 5}`)
		}, "run 1", 1},
		{"from another instance", func(c *agent.Call) { c.From.Instance = "shop/1" }, "run 1", 1},
		{"other arguments", func(c *agent.Call) {
			c.Input = json.RawMessage(`{"sum":6}`)
		}, "invalid_argument: till.charge: the idempotency key", 1},
		{"arguments that floats cannot tell apart", func(c *agent.Call) {
			c.Key, c.Input = "big", json.RawMessage(`{"sum":9007199254740993}`)
		}, "run 2", 2},
		{"the other", func(c *agent.Call) {
			c.Key, c.Input = "big", json.RawMessage(`{"sum":9007199254740992}`)
		}, "invalid_argument", 2},
		{"another tool", func(c *agent.Call) { c.Name = "refund" }, "invalid_argument", 2},
		{"another key", func(c *agent.Call) { c.Key = "l" }, "run 3", 3},
		{"another agent", func(c *agent.Call) { c.From.Agent = "desk" }, "run 4", 4},
		{"another user", func(c *agent.Call) { c.From.User = "bob" }, "run 5", 5},
		{"no key", func(c *agent.Call) { c.Key = "" }, "run 6", 6},
		{"a key that is too long", func(c *agent.Call) {
			c.Key = strings.Repeat("k", agent.MaxKey+1)
		}, "invalid_argument: till.charge: an idempotency key of", 6},
		{"a key as long as may be", func(c *agent.Call) {
			c.Key, c.Op = strings.Repeat("k", agent.MaxKey), agent.OpTool
		}, "run 7", 7},
		{"a failure", func(c *agent.Call) {
			c.Key, c.Input = "f", json.RawMessage(`{"sum":13}`)
		}, "tool_failed: unlucky", 8},
		{"the failure again", func(c *agent.Call) {
			c.Key, c.Input = "f", json.RawMessage(`{"sum":13}`)
		}, "tool_failed: unlucky", 8},
		{"what is refused before it runs", func(c *agent.Call) {
			c.Key, c.Input = "r", json.RawMessage(`{"sum":"x"}`)
		}, "invalid_argument", 8},
		{"and is right then", func(c *agent.Call) { c.Key = "r" }, "run 9", 9},
		{"for this generation", func(c *agent.Call) { c.Key, c.Keeper = "g", x.Info().Keeper }, "run 10", 10},
		{"for another generation", func(c *agent.Call) {
			c.Key, c.Keeper = "h", "another"
		}, "unavailable: till.charge: the instance", 10},
		{"for another generation, and known here", func(c *agent.Call) { c.Keeper = "another" }, "run 1", 10},
		{"with an answer to what it wanted", func(c *agent.Call) { c.State = "s" }, "run 11", 11},
		{"with another answer", func(c *agent.Call) {
			c.State, c.Inputs = "s", map[string]json.RawMessage{"q": json.RawMessage(`1`)}
		}, "run 12", 12},
		{"an event", func(c *agent.Call) { c.Op, c.Name = agent.OpEvent, "paid" }, "", 13},
		{"an event with the same order key", func(c *agent.Call) { c.Op, c.Name = agent.OpEvent, "paid" }, "", 14},
	} {
		res, err := x.Call(t.Context(), charge(tt.change))
		got := ""
		if err == nil {
			got = res.Text()
		} else {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) || x.ran.Load() != tt.runs {
			t.Errorf("%s: %q after %d runs, want %q after %d", tt.name, got, x.ran.Load(), tt.want, tt.runs)
		}
		if refused := strings.HasPrefix(tt.want, "invalid_argument") ||
			strings.HasPrefix(tt.want, "unavailable"); err != nil &&
			agent.AsError(err).NotExecuted != refused {
			t.Errorf("%s: NotExecuted is %v: %v", tt.name, !refused, err)
		}
	}
}

// What a tool leaves behind may still ask for a while, and is not kept waiting when nobody is
// there.
func TestAQuestionThatOutlivesItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		asked := make(chan error, 1)
		x := newTill(t, func(ctx context.Context, _ json.RawMessage, _ int64) (*agent.Result, error) {
			go func() {
				_, err := agent.Roots(context.WithoutCancel(ctx))
				asked <- err
			}()
			synctest.Wait()
			return agent.TextResult("done"), nil
		})
		back := agent.BackChannelFuncs{Roots: func(ctx context.Context) ([]agent.Root, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		res, err := x.Call(ctx, charge(func(c *agent.Call) { c.Back = back }))
		if err != nil || res.Text() != "done" {
			t.Errorf("%v, %v", res, err)
		}
		leave()
		if err := <-asked; agent.CodeOf(err) != agent.CodeCanceled {
			t.Error(err)
		}
	})
}

// Calls with one key that come while the first runs wait for it, and the work goes on as long as
// one of them waits.
func TestCallsWithOneKeyWaitForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, func(ctx context.Context, _ json.RawMessage, n int64) (*agent.Result, error) {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Hour {
				t.Errorf("the tool's deadline is %v", at)
			}
			select {
			case <-time.After(time.Minute):
				return agent.TextResult(fmt.Sprint("run ", n)), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		var all sync.WaitGroup
		call := func(ctx context.Context, key, want string) {
			all.Go(func() {
				res, err := x.Call(ctx, charge(func(c *agent.Call) { c.Key = key }))
				if got := fmt.Sprint(agent.CodeOf(err)); err != nil && got != want || err == nil && res.Text() != want {
					t.Errorf("%s: %v, %v, want %s", key, res, err, want)
				}
			})
			synctest.Wait()
		}
		ctx, end := context.WithTimeout(t.Context(), time.Hour)
		defer end()
		for range 3 {
			call(ctx, "a", "run 1")
		}
		first, leave := context.WithCancel(ctx)
		call(first, "b", "canceled")
		call(ctx, "b", "run 2")
		leave() // one still waits
		only, giveUp := context.WithCancel(ctx)
		call(only, "c", "canceled")
		giveUp() // nobody does
		all.Wait()
		for key, want := range map[string]agent.Code{"b": "", "c": agent.CodeOutcomeUnknown} {
			res, err := x.Call(ctx, charge(func(c *agent.Call) { c.Key = key }))
			if agent.CodeOf(err) != want || want != "" && agent.AsError(err).NotExecuted {
				t.Errorf("afterwards %s is %v, %v", key, res, err)
			}
		}
		if n := x.ran.Load(); n != 3 {
			t.Errorf("%d runs", n)
		}
	})
}

func TestKeysAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, counted)
		for i, want := range []string{"run 1", "run 1", "run 2"} {
			if i > 0 {
				time.Sleep(agent.KeyedFor - 1)
			}
			if i == 2 {
				time.Sleep(2 * time.Nanosecond)
			}
			if res, err := x.Call(t.Context(), charge()); err != nil || res.Text() != want {
				t.Errorf("call %d: %v, %v, want %s", i, res, err, want)
			}
		}
	})
}

// The documentation promises these.
func TestBoundsOfKeys(t *testing.T) {
	if agent.KeyedFor != 10*time.Minute || agent.MaxKeyed != 65_536 || agent.MaxKeyedStrangers != 16_384 ||
		agent.MaxKeyedBytes != 16<<20 || agent.MaxKey != 256 {
		t.Error("docs/reference/errors.md has other bounds")
	}
}

func TestOnlySoManyKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("65,536 calls")
	}
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, counted)
		call := func(i int) error {
			_, err := x.Call(t.Context(), charge(func(c *agent.Call) {
				c.Key, c.From.Trusted = fmt.Sprint(i), i >= agent.MaxKeyedStrangers && i <= agent.MaxKeyed
			}))
			return err
		}
		for i := range agent.MaxKeyed {
			if i == agent.MaxKeyedStrangers {
				wantCode(t, call(agent.MaxKeyed+1), agent.CodeResourceExhausted, true)
			}
			if err := call(i); err != nil {
				t.Fatal(i, err)
			}
		}
		time.Sleep(time.Minute)
		err := call(agent.MaxKeyed)
		wantCode(t, err, agent.CodeResourceExhausted, true)
		if e := agent.AsError(err); e.RetryAfter != agent.KeyedFor-time.Minute {
			t.Errorf("to be tried again after %v", e.RetryAfter)
		}
		time.Sleep(agent.AsError(err).RetryAfter)
		for _, i := range []int{agent.MaxKeyed, agent.MaxKeyed + 1, 0} { // the last are strangers'
			if err := call(i); err != nil {
				t.Error(i, err)
			}
		}
	})
}

// What is refused before it runs takes no place.
func TestRefusedCallsTakeNoPlace(t *testing.T) {
	if testing.Short() {
		t.Skip("16,385 calls")
	}
	x := newTill(t, counted)
	call := func(key int, input string) error {
		_, err := x.Call(t.Context(), charge(func(c *agent.Call) {
			c.Key, c.From.Trusted, c.Input = fmt.Sprint(key), false, json.RawMessage(input)
		}))
		return err
	}
	for key := range agent.MaxKeyedStrangers {
		if err := call(key, `{"sum":"much"}`); agent.CodeOf(err) != agent.CodeInvalidArgument {
			t.Fatal(key, err)
		}
	}
	if err := call(0, `{"sum":1}`); err != nil {
		t.Error(err)
	}
}

// A result that there is no room for is not kept, but its call is remembered.
func TestOnlySoManyResults(t *testing.T) {
	big := strings.Repeat("x", agent.MaxKeyedBytes/4)
	x := newTill(t, func(_ context.Context, in json.RawMessage, _ int64) (*agent.Result, error) {
		if strings.Contains(string(in), "7") {
			return agent.TextResult(strings.Repeat(big, 5)), nil
		}
		return agent.TextResult(big), nil
	})
	call := func(key string, sum int) error {
		_, err := x.Call(t.Context(), charge(func(c *agent.Call) {
			c.Key, c.Input = key, json.RawMessage(fmt.Sprintf(`{"sum":%d}`, sum))
		}))
		return err
	}
	for i := range 4 {
		if err := call(fmt.Sprint(i), 1); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, call("0", 1), agent.CodeOutcomeUnknown, false)
	if err := call("3", 1); err != nil {
		t.Error(err)
	}
	if err := call("huge", 7); err != nil {
		t.Error(err)
	}
	wantCode(t, call("huge", 7), agent.CodeOutcomeUnknown, false)
	if n := x.ran.Load(); n != 5 {
		t.Errorf("%d runs", n)
	}
}

// Instances that share their results answer for each other.
func TestInstancesShareResults(t *testing.T) {
	shared := agent.NewResults()
	var hosts [2]*agent.Host
	var runs atomic.Int64
	for i := range hosts {
		var err error
		hosts[i], err = agent.NewHost(agent.Env{Name: "till", Instance: fmt.Sprint("till/", i), Results: shared},
			agent.Capabilities{Tools: []agent.Tool{agent.NewTool("charge", "",
				func(context.Context, any) (int64, error) {
					return runs.Add(1), nil
				})}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range hosts {
		if res, err := h.Call(t.Context(), charge()); err != nil || res.Text() != "1" {
			t.Errorf("%v, %v", res, err)
		}
	}
	if a, b := hosts[0].Info().Keeper, hosts[1].Info().Keeper; a == "" || a != b {
		t.Errorf("they are the generations %q and %q", a, b)
	}
}

// A tool that ends well although nobody waits any more has a result like any other: that is what a
// call which is made again is for.
func TestAResultThatNobodyWaitedForIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, func(_ context.Context, _ json.RawMessage, n int64) (*agent.Result, error) {
			time.Sleep(time.Minute) // and does not look at its context
			return agent.TextResult(fmt.Sprint("run ", n)), nil
		})
		for _, wait := range []time.Duration{time.Second, time.Hour} {
			ctx, end := context.WithTimeout(t.Context(), wait)
			if res, err := x.Call(ctx, charge()); err != nil || res.Text() != "run 1" {
				t.Errorf("%v, %v", res, err)
			}
			end()
		}
	})
}

// told is the back-channel of a caller who answers questions with its name, while it is there.
type told struct {
	name  string
	leave context.CancelFunc // called when it is asked, in place of an answer; nil: it answers
	over  atomic.Bool        // its call has returned
	late  atomic.Bool        // it was notified or asked after that
	heard atomic.Int64
}

func (b *told) Notify(context.Context, agent.Notice) {
	b.heard.Add(1)
	b.late.Store(b.late.Load() || b.over.Load())
}

func (b *told) Request(ctx context.Context, _ agent.Request) (json.RawMessage, error) {
	b.late.Store(b.late.Load() || b.over.Load())
	if b.leave != nil {
		b.leave()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if b.name == "over" {
		return nil, agent.Errorf(agent.CodeCanceled, "the call is over")
	}
	if b.name == "cannot" {
		return nil, agent.Errorf(agent.CodeUnavailable, "no answer")
	}
	if b.name == "declines" {
		return nil, agent.Errorf(agent.CodePermissionDenied, "no")
	}
	return json.RawMessage(`{"roots":[{"uri":"` + b.name + `"}]}`), nil
}

// All callers that wait for a call get its notices, and the one that has waited longest is asked.
// Nobody is after its own call has returned.
func TestWaitingCallersGetNoticesAndQuestions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		callers []string // "leaves" when it is asked, "left" before, "mute" without a back-channel, or its answer
		want    string
	}{
		{"the first", []string{"a", "b"}, "a"},
		{"the next", []string{"mute", "b", "c"}, "b"},
		{"one has left before", []string{"left", "b"}, "b"},
		{"one leaves while it is asked", []string{"leaves", "leaves", "c"}, "c"},
		{"one whose end is not known yet", []string{"over", "b"}, "b"},
		{"the end of both is not known yet", []string{"over", "over"}, "canceled"},
		{"one that cannot answer", []string{"cannot", "b"}, "b"},
		{"nobody can answer", []string{"cannot", "cannot"}, "unavailable"},
		{"one that declines", []string{"declines", "b"}, "permission_denied"},
		{"nobody can be asked", []string{"mute", "mute"}, "unavailable"},
		{"all leave", []string{"leaves", "leaves"}, "canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTill(t, func(ctx context.Context, _ json.RawMessage, _ int64) (*agent.Result, error) {
					time.Sleep(time.Minute)
					agent.Progress(ctx, 1, 2, "half")
					roots, err := agent.Roots(ctx)
					if err != nil {
						return nil, err
					}
					return agent.TextResult(roots[0].URI), nil
				})
				var all sync.WaitGroup
				backs := make([]*told, len(tt.callers))
				for n, name := range tt.callers {
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					b := &told{name: name}
					if name == "leaves" {
						b.leave = leave
					}
					if name == "left" {
						time.AfterFunc(time.Second, leave)
					}
					backs[n] = b
					all.Go(func() {
						res, err := x.Call(ctx, charge(func(c *agent.Call) {
							if name != "mute" {
								c.Back = b
							}
						}))
						b.over.Store(true)
						switch got := string(agent.CodeOf(err)); {
						case name == "left" || name == "leaves":
							if got != "canceled" {
								t.Errorf("%s got %v, %v", name, res, err)
							}
						case err == nil && res.Text() != tt.want || err != nil && got != tt.want:
							t.Errorf("%s got %v, %v, want %s", name, res, err, tt.want)
						}
					})
					synctest.Wait()
				}
				all.Wait()
				for n, b := range backs {
					want := int64(1)
					if name := tt.callers[n]; name == "mute" || name == "left" {
						want = 0
					}
					if b.heard.Load() != want || b.late.Load() {
						t.Errorf("%s was told %d times; after its call: %v", b.name, b.heard.Load(), b.late.Load())
					}
				}
			})
		})
	}
}

func TestAQuestionsContextEndsWithIt(t *testing.T) {
	var asked context.Context
	x := newTill(t, func(ctx context.Context, _ json.RawMessage, _ int64) (*agent.Result, error) {
		_, err := agent.Roots(ctx)
		if asked.Err() == nil {
			t.Error("the question is answered, and its context goes on")
		}
		return agent.TextResult("done"), err
	})
	if _, err := x.Call(t.Context(), charge(func(c *agent.Call) {
		c.Back = agent.BackChannelFuncs{Roots: func(ctx context.Context) ([]agent.Root, error) {
			asked = ctx
			return nil, ctx.Err()
		}}
	})); err != nil {
		t.Error(err)
	}
}

// What a tool began with the context of its call ends with the call, whoever waited for it.
func TestAKeyedCallsContextEndsWithIt(t *testing.T) {
	var ran context.Context
	x := newTill(t, func(ctx context.Context, _ json.RawMessage, _ int64) (*agent.Result, error) {
		ran = ctx
		return agent.TextResult("done"), ctx.Err()
	})
	if _, err := x.Call(t.Context(), charge()); err != nil || ran.Err() == nil {
		t.Errorf("%v; after the call its context has %v", err, ran.Err())
	}
}

// Whose key it is, and which, is never taken for another caller's with another key.
func TestKeysOfDifferentCallersAreDifferent(t *testing.T) {
	x := newTill(t, counted)
	const gap = "\x00\x00\x00\x00\x00\x00\x00\x00" // where a length would stand
	for _, c := range []struct{ user, key, state string }{
		{"ann", "1", ""}, {"an", "n1", ""}, {"ann1", "0", ""}, {"ann", "10", ""},
		{"bob", "k" + gap + "s", "x"}, {"bob", "k", "s" + gap + "x"},
	} {
		before := x.ran.Load()
		if _, err := x.Call(t.Context(), charge(func(call *agent.Call) {
			call.From, call.Key, call.State = agent.Identity{User: c.user}, c.key, c.state
		})); err != nil || x.ran.Load() != before+1 {
			t.Errorf("%+q: the tool ran %d times, %v", c, x.ran.Load()-before, err)
		}
	}
}

// A call that leaves does not return while its back-channel is used, which is lent for the call
// only.
func TestACallerLeavesWithItsBackChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, func(ctx context.Context, _ json.RawMessage, _ int64) (*agent.Result, error) {
			time.Sleep(time.Second)
			agent.Progress(ctx, 1, 2, "half")
			return agent.TextResult("done"), nil
		})
		ctx, leave := context.WithTimeout(t.Context(), 2*time.Second)
		defer leave()
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			back := agent.BackChannelFuncs{OnProgress: func(agent.ProgressNotice) { time.Sleep(time.Minute) }}
			_, err := x.Call(ctx, charge(func(c *agent.Call) { c.Back = back }))
			wantCode(t, err, agent.CodeDeadlineExceeded, false)
			if took := time.Since(began); took != time.Minute+time.Second {
				t.Errorf("it returned after %v, while it was being told", took)
			}
		})
		synctest.Wait()
		if _, err := x.Call(t.Context(), charge()); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
}

// A caller that ends its call in order to make it anew, as one that is asked by results does, has
// not used its key.
func TestACallThatIsToBeMadeAnewIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, func(ctx context.Context, _ json.RawMessage, n int64) (*agent.Result, error) {
			if n < 3 {
				<-ctx.Done()
				time.Sleep(time.Second) // while it ends
				return nil, ctx.Err()
			}
			return agent.TextResult(fmt.Sprint("run ", n)), nil
		})
		for range 2 {
			ctx, stop := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() {
				stop(agent.Errorf(agent.CodeCanceled, "asked: %w", agent.ErrAnswersFollow))
			})
			_, err := x.Call(ctx, charge())
			wantCode(t, err, agent.CodeCanceled, false)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if res, err := x.Call(t.Context(), charge()); err != nil || res.Text() != "run 3" {
					t.Errorf("%v, %v", res, err)
				}
			})
		}
		all.Wait()
	})
}

// An answer counts, though whoever gave it has left since.
func TestAnAnswerOfACallerThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, func(ctx context.Context, _ json.RawMessage, _ int64) (*agent.Result, error) {
			time.Sleep(time.Second)
			roots, err := agent.Roots(ctx)
			if err != nil {
				return nil, err
			}
			return agent.TextResult(roots[0].URI), nil
		})
		var all sync.WaitGroup
		for _, name := range []string{"first", "second"} {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			back := agent.BackChannelFuncs{Roots: func(context.Context) ([]agent.Root, error) {
				leave()
				return []agent.Root{{URI: name}}, nil
			}}
			all.Go(func() {
				res, err := x.Call(ctx, charge(func(c *agent.Call) { c.Back = back }))
				if name == "second" && (err != nil || res.Text() != "first") {
					t.Errorf("%v, %v", res, err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

// One that comes while such a call ends runs for itself.
func TestACallThatComesWhileAnotherIsToBeMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTill(t, func(ctx context.Context, _ json.RawMessage, n int64) (*agent.Result, error) {
			if n == 1 {
				<-ctx.Done()
				time.Sleep(time.Minute)
				return nil, ctx.Err()
			}
			return agent.TextResult(fmt.Sprint("run ", n)), nil
		})
		ctx, stop := context.WithCancelCause(t.Context())
		var first sync.WaitGroup
		first.Go(func() {
			_, err := x.Call(ctx, charge())
			wantCode(t, err, agent.CodeCanceled, false)
		})
		synctest.Wait()
		stop(agent.ErrAnswersFollow)
		synctest.Wait()
		if res, err := x.Call(t.Context(), charge()); err != nil || res.Text() != "run 2" {
			t.Errorf("%v, %v", res, err)
		}
		first.Wait()
	})
}

// The arguments and the result of a call are not held longer than it is kept, also when no other
// call comes.
func TestCallsWithKeysAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type mark struct{}
		with := &[1 << 10]byte{}
		gone := weak.Make(with)
		var kept []weak.Pointer[agent.Result]
		x := newTill(t, func(context.Context, json.RawMessage, int64) (*agent.Result, error) {
			res := agent.TextResult("paid")
			kept = append(kept, weak.Make(res))
			return res, nil
		})
		call := func(ctx context.Context) {
			if _, err := x.Call(ctx, charge(func(c *agent.Call) { c.Key = fmt.Sprint(len(kept)) })); err != nil {
				t.Fatal(err)
			}
		}
		call(context.WithValue(t.Context(), mark{}, with))
		time.Sleep(time.Minute)
		call(t.Context())
		synctest.Wait()
		runtime.GC()
		if gone.Value() != nil {
			t.Error("the context of a call that has ended is held")
		}
		for _, tt := range []struct {
			wait time.Duration
			held []bool
		}{
			{agent.KeyedFor - time.Minute - 1, []bool{true, true}},
			{2, []bool{false, true}},
			{time.Minute - 3, []bool{false, true}},
			{3, []bool{false, false}},
		} {
			time.Sleep(tt.wait)
			synctest.Wait()
			runtime.GC()
			for n, held := range tt.held {
				if (kept[n].Value() != nil) != held {
					t.Errorf("the result %d is held: %v", n, !held)
				}
			}
		}
		call(t.Context())
		time.Sleep(agent.KeyedFor + 1)
		synctest.Wait()
		if runtime.GC(); kept[2].Value() != nil {
			t.Error("a result is held that came after all others were forgotten")
		}
		runtime.KeepAlive(x)
	})
}

// A tool that ends its goroutine fails, and so do the calls that wait for it.
func TestAToolThatEndsItsGoroutine(t *testing.T) {
	x := newTill(t, func(context.Context, json.RawMessage, int64) (*agent.Result, error) {
		runtime.Goexit()
		return nil, nil
	})
	for range 2 {
		ctx, end := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := x.Call(ctx, charge())
		wantCode(t, err, agent.CodeInternal, false)
		end()
	}
	if n := x.ran.Load(); n != 1 {
		t.Errorf("%d runs", n)
	}
}

// All of a result counts against the bound, wherever it is.
func TestAllOfAResultCounts(t *testing.T) {
	big := strings.Repeat("x", agent.MaxKeyedBytes)
	quoted := json.RawMessage(`"` + big + `"`)
	for name, res := range map[string]*agent.Result{
		"structured":  {Structured: quoted},
		"raw":         {Raw: quoted},
		"meta":        {Meta: map[string]json.RawMessage{"m": quoted}},
		"state":       {Pending: &agent.Pending{State: big}},
		"question":    {Pending: &agent.Pending{Requests: map[string]agent.Request{"q": {Params: quoted}}}},
		"text":        {Content: []agent.Content{agent.Text(big)}},
		"data":        {Content: []agent.Content{agent.Image([]byte(big), "image/png")}},
		"raw block":   {Content: []agent.Content{{Raw: quoted}}},
		"link":        {Content: []agent.Content{agent.Link(big, "")}},
		"name":        {Content: []agent.Content{agent.Link("", big)}},
		"title":       {Content: []agent.Content{{Title: big}}},
		"description": {Content: []agent.Content{{Description: big}}},
		"annotations": {Content: []agent.Content{{Annotations: quoted}}},
		"block meta":  {Content: []agent.Content{{Meta: quoted}}},
		"resource":    {Content: []agent.Content{agent.Embed(agent.ResourceContents{Text: big})}},
		"blob":        {Content: []agent.Content{agent.Embed(agent.ResourceContents{Blob: []byte(big)})}},
		"uri":         {Content: []agent.Content{agent.Embed(agent.ResourceContents{URI: big})}},
		"its meta":    {Content: []agent.Content{agent.Embed(agent.ResourceContents{Meta: quoted})}},
	} {
		x := newTill(t, func(context.Context, json.RawMessage, int64) (*agent.Result, error) { return res, nil })
		if _, err := x.Call(t.Context(), charge()); err != nil {
			t.Fatal(err)
		}
		_, err := x.Call(t.Context(), charge())
		if agent.CodeOf(err) != agent.CodeOutcomeUnknown {
			t.Errorf("%s: kept although it is too large: %v", name, err)
		}
	}
	for name, failure := range map[string]*agent.Error{
		"message": agent.Errorf(agent.CodeToolFailed, "%s", big),
		"details": {Code: agent.CodeToolFailed, Details: quoted},
	} {
		x := newTill(t, func(context.Context, json.RawMessage, int64) (*agent.Result, error) { return nil, failure })
		for _, want := range []agent.Code{agent.CodeToolFailed, agent.CodeOutcomeUnknown} {
			if _, err := x.Call(t.Context(), charge()); agent.CodeOf(err) != want {
				t.Errorf("%s: %.100v", name, err)
			}
		}
	}
}

// However calls with few keys come and go, no work runs twice, and all that get a result get the
// same.
func TestManyCallsWithFewKeys(t *testing.T) {
	const keys, callers, calls = 50, 16, 200
	var ran [keys]atomic.Int64
	x := newTill(t, func(ctx context.Context, in json.RawMessage, _ int64) (*agent.Result, error) {
		var key struct{ Sum int }
		if err := json.Unmarshal(in, &key); err != nil {
			return nil, err
		}
		agent.Progress(ctx, 1, 1, "")
		if _, err := agent.Roots(ctx); err != nil && key.Sum%2 == 0 {
			return nil, err
		}
		return agent.TextResult(fmt.Sprint(key.Sum, " ", ran[key.Sum].Add(1))), nil
	})
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 0))
			for range calls {
				key := random.IntN(keys)
				ctx, end := context.WithCancel(t.Context())
				b := &told{name: "x"}
				if random.IntN(3) == 0 {
					b.leave = end
				}
				res, err := x.Call(ctx, charge(func(c *agent.Call) {
					c.Key, c.Input, c.Back = fmt.Sprint(key), json.RawMessage(fmt.Sprintf(`{"sum":%d}`, key)), b
				}))
				b.over.Store(true)
				end()
				switch code := agent.CodeOf(err); {
				case err == nil && res.Text() != fmt.Sprint(key, " 1"):
					t.Errorf("the key %d gave %s", key, res.Text())
				case err != nil && code != agent.CodeCanceled && code != agent.CodeOutcomeUnknown:
					t.Errorf("the key %d gave %v", key, err)
				case b.late.Load():
					t.Error("a caller was told something after its call")
				}
			}
		})
	}
	all.Wait()
}
