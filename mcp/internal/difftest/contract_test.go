package difftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// A record is what the ends of one test of the contract suite have seen, each thing once: how calls
// reached their agents, what callers were told and asked, and what came of their calls.
type record struct {
	mu   sync.Mutex
	seen map[string]bool
}

// madeUpHere are places, ids and times, which are new in each run.
var madeUpHere = regexp.MustCompile(`127\.0\.0\.1:\d+|direct-\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|` +
	`[0-9a-f]{16,}|\d+(\.\d+)?(ms|µs|s)\b|"Root":"[a-z0-9]+"`)

func (r *record) add(format string, args ...any) {
	line := madeUpHere.ReplaceAllString(fmt.Sprintf(format, args...), "…")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[line] = true
}

// brief is JSON by its length and sum where it is long: to write down megabytes takes seconds.
func brief(raw json.RawMessage) json.RawMessage {
	if len(raw) < 10_000 {
		return raw
	}
	return fmt.Appendf(nil, `"%d bytes, %08x"`, len(raw), crc32.ChecksumIEEE(raw))
}

func (r *record) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.seen))
}

// recorded is a communicator whose ends are written down.
type recorded struct {
	communicator.Communicator
	to *record
}

func (c recorded) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	return c.Communicator.Serve(ctx, recordedService{s, c.to})
}

func (c recorded) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	p, err := c.Communicator.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	return recordedPeer{p, c.to}, nil
}

type recordedService struct {
	communicator.Service
	to *record
}

func (s recordedService) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	got := *c
	got.Input = brief(c.Input)
	s.to.add("got %s", canon([]byte(encode(describe(ctx, &got)))))
	return s.Service.Call(ctx, c)
}

type recordedPeer struct {
	communicator.Peer
	to *record
}

func (p recordedPeer) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	called := *c
	if c.Back != nil {
		called.Back = recordedBack{c.Back, p.to, c.Target()}
	}
	res, err := p.Peer.Call(ctx, &called)
	var came *agent.Result
	if res != nil {
		short := *res
		short.Structured = brief(res.Structured)
		came = &short
	}
	outcome := outcomeOf(came, err)
	// How far a call had come when its time was up, or its connection was lost, is not the same
	// twice.
	if code := agent.CodeOf(err); err != nil && slices.Contains([]agent.Code{agent.CodeDeadlineExceeded,
		agent.CodeCanceled, agent.CodeUnavailable, agent.CodeOutcomeUnknown}, code) {
		outcome = "error " + string(code)
	}
	p.to.add("%s %s(%s): %s", c.Op, c.Target(), canon(brief(c.Input)), outcome)
	return res, err
}

type recordedBack struct {
	agent.BackChannel
	to   *record
	call string
}

func (b recordedBack) Notify(ctx context.Context, n agent.Notice) {
	if b.call != "callee.pay" { // which tells for as long as its test waits
		b.to.add("%s notice %s", b.call, canon([]byte(encode(n))))
	}
	b.BackChannel.Notify(ctx, n)
}

func (b recordedBack) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	raw, err := b.BackChannel.Request(ctx, r)
	b.to.add("%s asked %s %s: %s, %v", b.call, r.Kind, canon(r.Params), canon(raw), err)
	return raw, err
}

// overHTTP is a fresh communicator over HTTP.
func overHTTP(t *testing.T, transport mcp.Transport, fast bool) communicatortest.Setup {
	const frame = 3 << 20
	host, err := server.NewHTTP(server.Options{Logger: quiet, NoFastPath: !fast, Limits: server.Limits{MaxFrame: frame},
		Identify: func(*http.Request) (server.Identity, error) {
			return server.Identity{Identity: agent.Identity{Agent: "me", Trusted: true}, Relays: true}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(host)
	proxy := communicatortest.NewProxy(t, srv.Listener.Addr().String())
	t.Cleanup(srv.Close)
	end := func(host *server.HTTP) communicator.Communicator {
		dialer := &client.Dialer{Transport: transport, BaseURL: func() string { return "http://" + proxy.Addr },
			Options: client.Options{Logger: quiet, NoFastPath: !fast, MaxFrame: frame}}
		return struct {
			communicator.Server
			communicator.Dialer
			closer
		}{host, dialer, func(ctx context.Context) error { return errors.Join(host.Close(ctx), dialer.Close(ctx)) }}
	}
	other, err := server.NewHTTP(server.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return communicatortest.Setup{Communicator: end(host), Caller: end(other), Limit: 4<<20 - 64<<10,
		ResultLimit: 2 << 20, Sever: proxy.Sever, Hold: proxy.Hold}
}

type closer func(context.Context) error

func (c closer) Close(ctx context.Context) error { return c(ctx) }

// runContract runs the suite of all communicators; what its ends saw, by test.
func runContract(t *testing.T, transport mcp.Transport, fast bool) map[string]*record {
	records := map[string]*record{}
	communicatortest.Run(t, communicatortest.Config{New: func(test *testing.T) communicatortest.Setup {
		r := &record{seen: map[string]bool{}}
		records[strings.TrimPrefix(test.Name(), t.Name())] = r
		s := overStdio
		if transport != mcp.Stdio {
			s = func(t *testing.T, fast bool) communicatortest.Setup { return overHTTP(t, transport, fast) }
		}
		out := s(test, fast)
		out.Communicator = recorded{out.Communicator, r}
		if out.Caller != nil {
			out.Caller = recorded{out.Caller, r}
		}
		return out
	}})
	return records
}

// upToWhoIsFaster are tests of the contract suite in which a connection ends. Which calls are still
// answered then differs from run to run: it is judged by the suite, and not compared.
var upToWhoIsFaster = regexp.MustCompile(`^/(close|lost)/|_after_a_loss$`)

// The contract is kept with the fast path and without. The conversations of its suite are the same:
// its calls reach the agents alike, and end alike.
func TestTheContractIsTheSame(t *testing.T) {
	for _, transport := range []mcp.Transport{mcp.Stdio, mcp.SSE, mcp.Streamable} {
		if testing.Short() && transport == mcp.Stdio {
			continue // it starts processes
		}
		t.Run(string(transport), func(t *testing.T) {
			var both [2]map[string]*record
			for i := range both {
				t.Run(fmt.Sprintf("fast=%v", i == 0), func(t *testing.T) {
					both[i] = runContract(t, transport, i == 0)
				})
			}
			for name, with := range both[0] {
				if upToWhoIsFaster.MatchString(name) {
					continue
				}
				without := both[1][name]
				if without == nil {
					t.Errorf("%s: only with the fast path", name)
					continue
				}
				a, b := with.lines(), without.lines()
				if !slices.Equal(a, b) {
					t.Errorf("%s: only with the fast path\n  %s\nand only without\n  %s", name,
						strings.Join(missing(a, b), "\n  "), strings.Join(missing(b, a), "\n  "))
				}
			}
		})
	}
}

// missing are the lines of a that b does not have.
func missing(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
}
