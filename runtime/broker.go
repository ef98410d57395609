package runtime

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/openmas/openmas/communicator/nats"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/statedir"
	"github.com/openmas/openmas/runtime/internal/reload"
	"github.com/openmas/openmas/runtime/project"
)

// startBroker opens the broker and what travels over it: calls, events, and where several processes
// share it, what they host.
func (r *Runtime) startBroker(ctx, base context.Context) error {
	driver, err := r.openBroker(ctx)
	if err != nil {
		return err
	}
	r.onClose("broker", func(context.Context) error { return driver.Close() })
	b := r.cfg.Broker
	broker, err := pubsub.New(driver,
		pubsub.Options{Project: r.cfg.Project, Logger: r.log, MaxPayload: int(b.MaxPayload)})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	r.broker, r.lasting = broker, reload.NewLasting(broker)
	r.onClose("calls over the broker", broker.Close)
	r.driver = driver
	return r.startEvents(ctx, base, driver)
}

func (r *Runtime) openBroker(ctx context.Context) (pubsub.Driver, error) {
	b := r.cfg.Broker
	switch b.Type {
	case project.BrokerMemory:
		return pubsub.NewMemory(pubsub.MemoryOptions{Logger: r.log}), nil
	case project.BrokerNATS:
		return r.openNATS(ctx)
	}
	driver, err := r.openDriver(ctx, r.opts.BrokerWait)
	if err == nil {
		r.log.Info("broker", "type", b.Type)
	}
	return driver, err
}

// openDriver opens the broker that the program brings. wait is that of [DriverOptions].
func (r *Runtime) openDriver(ctx context.Context, wait time.Duration) (pubsub.Driver, error) {
	b := r.cfg.Broker
	driver, err := r.opts.Drivers[b.Type](ctx, DriverOptions{Project: r.cfg.Project, Process: r.process, Dir: r.cfg.Dir,
		Options: b.Options, Wait: wait, Logger: r.log})
	if err != nil {
		return nil, fmt.Errorf("broker %s: %w", b.Type, err)
	}
	return driver, nil
}

// ProbeBroker connects to the broker that the program brings, if the project uses one, and leaves
// it again: whether its driver takes broker.options turns out no earlier. One that is down is not
// waited for, one that does not answer for as long as connect.timeout. The text of the error has no
// secret of the project.
func (r *Runtime) ProbeBroker(ctx context.Context) error {
	if r.opts.Drivers[r.cfg.Broker.Type] == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Connect.Timeout)
	defer cancel()
	driver, err := r.openDriver(ctx, -1)
	if err == nil {
		err = driver.Close()
	}
	return r.mask(err)
}

func (r *Runtime) openNATS(ctx context.Context) (pubsub.Driver, error) {
	b := r.cfg.Broker
	wait := max(r.opts.BrokerWait, 0) // there: 0 is not at all, negative for ever
	if r.opts.BrokerWait == 0 {
		wait = -1
	}
	path := func(p string) string {
		if p == "" {
			return ""
		}
		return r.cfg.Path(p)
	}
	if len(b.URLs) == 0 {
		if err := statedir.Make(r.state); err != nil {
			return nil, fmt.Errorf("broker: make the state folder: %w", err)
		}
	}
	var logged time.Time
	most := "as long as it takes"
	if wait > 0 {
		most = wait.String()
	}
	driver, err := nats.Open(ctx, nats.Options{Project: r.cfg.Project, Name: "openmas " + r.process, URLs: b.URLs,
		StateDir:   filepath.Join(r.state, "broker"),
		SyncAlways: b.SyncAlways, User: b.User, Password: b.Password, Token: b.Token, CredsFile: path(b.CredsFile),
		NkeyFile: path(b.NkeyFile),
		CAFile:   path(b.TLS.CAFile), CertFile: path(b.TLS.CertFile), KeyFile: path(b.TLS.KeyFile), Wait: wait,
		Logger: r.log,
		OnWait: func(url string, err error) {
			if time.Since(logged) > 5*time.Second {
				logged = time.Now()
				r.log.Warn("waiting for the broker", "url", url, "error", err, "at most", most+": --wait")
			}
		}})
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	r.log.Info("broker", "type", b.Type, "url", driver.URL(), "embedded", len(b.URLs) == 0, "owner", driver.Owner())
	return driver, nil
}

// startEvents brings up the two ways of events: those that are delivered if possible, and those
// that are kept.
func (r *Runtime) startEvents(ctx, base context.Context, driver pubsub.Driver) error {
	events, err := pubsub.NewEvents(driver, pubsub.EventsOptions{Project: r.cfg.Project, Logger: r.log,
		OnDeadLetter: func(d pubsub.DeadLetter) { r.metrics.Dead(d.Agent, d.Event.Topic) }})
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	r.events = &eventRoutes{best: events, sent: func(ctx context.Context, topic string, err error) {
		r.metrics.Sent(ctx, r.brokerSystem(), topic, err)
	}}
	r.publisher = r.tel.Publisher(r.brokerSystem(), r.events)
	ctx2, cancel := context.WithCancel(base)
	r.tasks.Go(func() {
		if err := events.Run(ctx2); err != nil && !errors.Is(err, context.Canceled) {
			r.log.Error("events stopped", "error", err)
		}
	})
	r.onClose("events", func(ctx context.Context) error {
		defer cancel()
		return events.Close(ctx)
	})
	for topic, e := range r.cfg.Events {
		if !e.Durable {
			continue
		}
		d, ok := driver.(*nats.Driver)
		if !ok {
			return fmt.Errorf("events: %s is durable, which needs broker nats", topic)
		}
		durable, err := d.Durable(ctx, nats.DurableOptions{Attempts: e.Attempts, Backoff: e.Backoff,
			InOrder: e.InOrder, OnDeadLetter: func(d nats.DeadLetter) { r.metrics.Dead(d.Agent, d.Event.Topic) }})
		if err != nil {
			return fmt.Errorf("events: %s: %w", topic, err)
		}
		r.events.keep(topic, durable)
		r.onClose("durable events of "+topic, durable.Close)
	}
	return nil
}
