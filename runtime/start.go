package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/runtime/internal/telemetry"
)

// start brings everything up, in order: the gateway's port first, since a port in use must start nothing; then what agents need; then the agents, each after those
// that it requires. ctx abandons the start, base is what things live in.
func (r *Runtime) start(ctx, base context.Context) error {
	if err := r.listen(ctx); err != nil {
		return err
	}
	tel, err := telemetry.Setup(ctx, telemetry.Config{Endpoint: r.cfg.Telemetry.Endpoint, Protocol: r.cfg.Telemetry.Protocol, ServiceName: r.cfg.Project,
		Project: r.cfg.Project, Instance: fmt.Sprintf("%s/%d", r.cfg.Project, os.Getpid()), Logger: r.log})
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	r.tel = tel
	r.onClose("telemetry", tel.Shutdown)
	if err := r.startBroker(base); err != nil {
		return err
	}
	if err := r.startPrivate(ctx); err != nil {
		return err
	}
	if err := r.serveSelf(); err != nil {
		return err
	}
	if err := r.listenForUpdates(); err != nil {
		return err
	}
	for _, p := range r.plan {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("start given up: %w", err)
		}
		if err := r.deploy(ctx, base, p); err != nil {
			return err
		}
		r.log.Debug("agent is up", "agent", p.name, "communicator", p.cfg.Communicator)
	}
	if err := r.checkForeignRequirements(); err != nil {
		return err
	}
	return r.serveGateway()
}

func (r *Runtime) startBroker(base context.Context) error {
	b := r.cfg.Broker
	driver := pubsub.NewMemory(pubsub.MemoryOptions{Queue: b.MaxQueue, Logger: r.log})
	r.onClose("broker", func(context.Context) error { return driver.Close() })
	broker, err := pubsub.New(driver, pubsub.Options{Project: r.cfg.Project, Logger: r.log, MaxInFlight: b.MaxInFlight, Queue: b.MaxQueue, MaxPayload: int(b.MaxPayload)})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	r.broker = broker
	r.onClose("calls over the broker", broker.Close)
	events, err := pubsub.NewEvents(driver, pubsub.EventsOptions{Project: r.cfg.Project, Logger: r.log})
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	r.events, r.publisher = events, r.tel.Publisher(brokerSystem, events)
	ctx, cancel := context.WithCancel(base)
	r.tasks.Go(func() {
		if err := events.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			r.log.Error("events stopped", "error", err)
		}
	})
	r.onClose("events", func(ctx context.Context) error {
		defer cancel()
		return events.Close(ctx)
	})
	return nil
}

// deploy brings one agent up and makes it callable.
func (r *Runtime) deploy(ctx, base context.Context, p planned) error {
	var c *callee
	var err error
	if p.kind == KindType && p.cfg.Communicator != OverStdio {
		c, err = r.hostHere(ctx, base, p)
	} else {
		c, err = r.connect(ctx, base, p)
	}
	if err != nil {
		return err
	}
	r.dir.add(c)
	r.onClose("routing to "+p.name, func(context.Context) error { r.dir.remove(p.name); return nil })
	return r.listenFor(c, p)
}

// callee makes the way to an agent.
func (r *Runtime) callee(p planned, route agent.Caller, shown *pool) *callee {
	return &callee{name: p.name, over: p.cfg.Communicator, route: route, shown: shown, trusted: p.kind == KindType, tel: r.tel, budget: r.budget,
		policyFor:  func(tool string) Policy { return r.cfg.PolicyFor(p.name, tool) },
		idempotent: func(tool string) *bool { return p.cfg.Tools[tool].Idempotent }}
}

// checkForeignRequirements looks at what could not be known before foreign servers were connected.
func (r *Runtime) checkForeignRequirements() error {
	for _, p := range r.plan {
		for _, req := range p.requires {
			callee, tool, _ := strings.Cut(req, ".")
			info, ok := r.dir.Agent(callee)
			if tool != "" && (!ok || !offers(info, tool)) {
				return fmt.Errorf("agent %s requires %s, and %s offers %s", p.name, req, callee, strings.Join(append(toolNames(info), "nothing else"), ", "))
			}
		}
	}
	return nil
}
