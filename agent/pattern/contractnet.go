package pattern

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
)

// ContractNet gives a task to whoever offers most: it asks all agents that can do it for bids,
// awards the task to the best one, and to the next best when that one fails. (The contract net
// protocol of FIPA: call for proposals, propose or refuse, accept-proposal, reject-proposal, and
// inform or failure.)
type ContractNet[Task, Bid, Out any] struct {
	// Propose is the tool of a bidder that takes a Task and gives its Bid. An error is a refusal.
	Propose string
	// Perform is the tool of a bidder that does the task. It takes an [Award].
	Perform string
	// Reject, if not empty, is a tool that takes the Award of somebody else: bidders that have it
	// hear that they did not get the task, for as long as Deadline. Their answers do not matter.
	Reject string
	// Only, if not nil, says which of the agents that have both tools are asked.
	Only func(agent.Info) bool
	// Deadline is how long bids are waited for; 0: 5 s. Whoever is late is out. A tool in this
	// process that does not end with its context is waited for, but is out as well.
	Deadline time.Duration
	// Better says which of two bids wins. Among equals the agent whose name comes first does.
	Better func(a, b Bid) bool
	// Again says whether the next best may do what the winner failed at; nil: if it was certainly
	// not done, or may be done twice (see [agent.ToolInfo.Repeatable]).
	Again func(winner string, err error) bool
}

// An Award is a task and who got it.
type Award[Task, Bid any] struct {
	Task   Task   `json:"task"`
	Winner string `json:"winner"`
	Bid    Bid    `json:"bid"`
}

// A Contract is what became of a task.
type Contract[Bid, Out any] struct {
	Winner string `json:"winner"`
	Bid    Bid    `json:"bid"`
	Out    Out    `json:"out"`
	// Bids has the bids, by agent.
	Bids map[string]Bid `json:"bids"`
	// Refused says why the others made none.
	Refused map[string]*agent.Error `json:"refused,omitempty"`
	// Failed has the winners that did not do it.
	Failed map[string]*agent.Error `json:"failed,omitempty"`
}

// Step is one contract. It fails when nobody can be asked or bids (unavailable), with the error of
// a winner that must not be followed by another one, or of the last.
func (n ContractNet[Task, Bid, Out]) Step() Step[Task, Contract[Bid, Out]] {
	return func(ctx context.Context, task Task) (Contract[Bid, Out], error) {
		c := Contract[Bid, Out]{Bids: map[string]Bid{}, Refused: map[string]*agent.Error{},
			Failed: map[string]*agent.Error{}}
		bidders, err := chosen(ctx, n.Only, n.Propose, n.Perform)
		if err != nil {
			return c, err
		}
		p := newProgress(ctx, 2)
		n.announce(ctx, task, bidders, &c)
		p.done(ctx, 0, fmt.Sprintf("%d of %d agents bid", len(c.Bids), len(bidders)))
		if err := ctx.Err(); err != nil {
			return c, agent.AsError(err)
		}
		ranking := n.rank(bidders, c.Bids)
		if len(ranking) == 0 {
			return c, agent.Errorf(agent.CodeUnavailable, "none of %d agents bid; %s: %w", len(bidders),
				bidders[0].Name, c.Refused[bidders[0].Name])
		}
		var last error
		for _, w := range ranking {
			award := Award[Task, Bid]{task, w.Name, c.Bids[w.Name]}
			out, err := Call[Award[Task, Bid], Out](w.Name+"."+n.Perform)(p.part(ctx, 1), award)
			if err == nil {
				c.Winner, c.Bid, c.Out = w.Name, award.Bid, out
				p.done(ctx, 1, w.Name)
				n.reject(ctx, award, ranking, &c)
				return c, nil
			}
			c.Failed[w.Name], last = agent.AsError(err), fmt.Errorf("%s got the task: %w", w.Name, err)
			again := n.Again
			if again == nil {
				again = func(string, error) bool { return passable(err, w, n.Perform) }
			}
			if ctx.Err() != nil || !again(w.Name, err) {
				break
			}
		}
		return c, last
	}
}

// announce asks for bids, until the deadline.
func (n ContractNet[Task, Bid, Out]) announce(ctx context.Context, task Task, bidders []agent.Info,
	c *Contract[Bid, Out]) {
	ctx, cancel := context.WithTimeout(ctx, n.deadline())
	defer cancel()
	var mu sync.Mutex
	_, _ = each(ctx, len(bidders), 0, func(ctx context.Context, k int) (struct{}, error) {
		name := bidders[k].Name
		bid, err := Call[Task, Bid](name+"."+n.Propose)(ctx, task)
		if err == nil {
			err = ctx.Err() // a tool of this process that does not look at its context answers when it likes
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			c.Refused[name] = agent.AsError(err)
		} else {
			c.Bids[name] = bid
		}
		return struct{}{}, nil
	})
	for _, b := range bidders {
		if _, bid := c.Bids[b.Name]; !bid && c.Refused[b.Name] == nil {
			c.Refused[b.Name] = agent.AsError(context.DeadlineExceeded)
		}
	}
}

func (n ContractNet[Task, Bid, Out]) deadline() time.Duration {
	if n.Deadline > 0 {
		return n.Deadline
	}
	return 5 * time.Second
}

// rank lists who has bid, the best first.
func (n ContractNet[Task, Bid, Out]) rank(bidders []agent.Info, bids map[string]Bid) []agent.Info {
	var out []agent.Info
	for _, b := range bidders {
		if _, ok := bids[b.Name]; ok {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(x, y agent.Info) int {
		switch a, b := bids[x.Name], bids[y.Name]; {
		case n.Better(a, b):
			return -1
		case n.Better(b, a):
			return 1
		}
		return 0
	})
	return out
}

// reject tells the losers that have the tool for it.
func (n ContractNet[Task, Bid, Out]) reject(ctx context.Context, award Award[Task, Bid], bidders []agent.Info,
	c *Contract[Bid, Out]) {
	if n.Reject == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, n.deadline())
	defer cancel()
	_, _ = each(ctx, len(bidders), 0, func(ctx context.Context, k int) (struct{}, error) {
		b := bidders[k]
		if _, has := b.Tool(n.Reject); !has || b.Name == award.Winner || c.Failed[b.Name] != nil {
			return struct{}{}, nil
		}
		_, _ = agent.CallTool(ctx, b.Name+"."+n.Reject, award)
		return struct{}{}, nil
	})
}
