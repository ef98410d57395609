package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/openmas/openmas/agent"
)

type letter struct {
	Text string `json:"text"`
	Key  string `json:"key,omitempty"`
}

// post sends letters, as events.
type post struct{}

func (post) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("send", "Send a letter.",
		func(ctx context.Context, l letter) (string, error) {
			if l.Key != "" {
				return "sent", agent.Publish(ctx, "letter.sent", l, agent.EventKey(l.Key))
			}
			return "sent", agent.Publish(ctx, "letter.sent", l)
		})}}
}

// delivery is what a handler of an event gets.
type delivery struct {
	Text    string `json:"text"`
	ID      string `json:"id"`
	From    string `json:"from"`
	Attempt int    `json:"attempt"`
}

// inbox takes letters; until the file `mended` is beside the project file, one is too much for it.
type inbox struct {
	env  agent.Env
	mu   sync.Mutex
	seen []delivery
}

func (i *inbox) Start(_ context.Context, env agent.Env) error { i.env = env; return nil }

func (i *inbox) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Tools: []agent.Tool{agent.NewTool("seen", "Say what came.",
			func(context.Context, struct{}) ([]delivery, error) {
				i.mu.Lock()
				defer i.mu.Unlock()
				return append([]delivery{}, i.seen...), nil
			})},
		Subscriptions: []agent.Subscription{agent.On("letter.sent", func(ctx context.Context, l letter) error {
			c := agent.CallFrom(ctx)
			i.env.Logger.Info("a letter", "text", l.Text)
			i.mu.Lock()
			defer i.mu.Unlock()
			i.seen = append(i.seen, delivery{l.Text, c.ID, c.From.Agent, c.Attempt})
			if _, err := os.Stat(filepath.Join(i.env.Dir, "mended")); l.Text == "poison" && err != nil {
				return errors.New("poison")
			}
			return nil
		})},
	}
}
