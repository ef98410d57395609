//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/openmas/openmas/internal/chaos/ledger"
)

func brokerRows() []row {
	return []row{
		{"broker-2s", "broker down for 2 s", true, brokerDown(2 * time.Second)},
		{"broker-30s", "broker down for 30 s", false, brokerDown(30 * time.Second)},
		{"cluster", "NATS cluster of three, a server killed every 4 s, for 20 s", true, cluster(20 * time.Second)},
		{"cluster-2m", "NATS cluster of three, a server killed every 4 s, for two minutes", false, cluster(2 * time.Minute)},
		{"owner-stop", "SIGSTOP of the process with the embedded broker", false, ownerStop},
		{"slow-consumer", "a slow consumer, 10,000 events", true, slowConsumer},
	}
}

// A node is a NATS server in a process.
type node struct {
	*process
	args []string
}

// nodes starts n NATS servers, in a cluster if there are several, and returns the YAML that names
// them.
func (t *trial) nodes(ctx context.Context, n int) ([]*node, string, error) {
	ports := make([]int, 2*n)
	for i := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, "", err
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return nil, "", err
		}
	}
	var routes, urls []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[n+i]))
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	out := make([]*node, n)
	for i := range out {
		args := []string{"nats", "-name", fmt.Sprint("n", i), "-port", fmt.Sprint(ports[i]),
			"-store", filepath.Join(t.dir, fmt.Sprint("store", i))}
		if n > 1 {
			args = append(args, "-cluster", fmt.Sprint(ports[n+i]), "-routes", strings.Join(routes, ","))
		}
		out[i] = &node{args: args}
		if err := out[i].start(ctx, t); err != nil {
			return nil, "", err
		}
	}
	return out, "broker: {type: nats, urls: [" + strings.Join(urls, ", ") + "]}\n", nil
}

func (n *node) start(ctx context.Context, t *trial) (err error) {
	if n.process, err = t.launch(n.args[2], nil, n.args...); err != nil {
		return err
	}
	_, err = n.await(ctx, "NATS_READY")
	return err
}

const overNATS = `
project: chaos
defaults: {timeout: 5s}
gateway: {listen: "127.0.0.1:0"}
events: {tally.done: {durable: true}}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  there: {type: tally, config: {ledger: LEDGER, listen: true}}
`

// pair starts a project in two processes: the gateway with here, and there. It returns the first.
func (t *trial) pair(ctx context.Context, broker string) (*system, error) {
	there, err := t.begin("there", overNATS+broker, "--agents", "there", "--set", "gateway=off")
	if err != nil {
		return nil, err
	}
	s, err := t.start(ctx, "openmas", overNATS+broker, "--agents", "here")
	if err != nil {
		return nil, err
	}
	if _, ok := eventually(ctx, 30*time.Second, func() bool {
		_, err = t.warm(ctx, s.url, "there_work")
		return err == nil
	}); !ok {
		return nil, fmt.Errorf("%w; the other process: %s", err, there.said())
	}
	t.newLoad() // without those that came too early
	return s, nil
}

var natsTargets = []target{{tool: "there_work", ms: 20}, {tool: "here_publish"},
	{tool: "there_read", ms: 20, safe: true}}

// natsLoad has three callers for each of the targets, and none that calls all in turn: they would
// soon call in step, and one publishing that waits for its acknowledgement would keep all of them
// from seeing that calls work again.
func (t *trial) natsLoad(ctx context.Context, s *system) error {
	for _, to := range natsTargets {
		if err := t.beginLoad(ctx, s.url, 3, 20*time.Millisecond, to); err != nil {
			return err
		}
	}
	return nil
}

func brokerDown(away time.Duration) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		nodes, yaml, err := t.nodes(ctx, 1)
		if err != nil {
			return err
		}
		s, err := t.pair(ctx, yaml)
		if err != nil {
			return err
		}
		before, err := t.warmUp(ctx, s, 9, natsTargets...)
		if err != nil {
			return err
		}
		if err := t.natsLoad(ctx, s); err != nil {
			return err
		}
		pause(ctx, time.Second)
		fault := time.Now()
		nodes[0].kill()
		pause(ctx, away)
		if err := nodes[0].start(ctx, t); err != nil {
			return err
		}
		back := time.Now()
		pause(ctx, 4*time.Second)
		t.load.stop()
		asks := of(t.load.all(), "there_work")
		t.Detected, _ = firstFailed(asks, fault)
		t.recovered(asks, back, time.Second)
		t.events(ctx)
		t.compare(ctx, s, before)
		t.judge(time.Time{})
		return nil
	}
}

// events wants every event to be handled whose publishing was acknowledged.
func (t *trial) events(ctx context.Context) {
	missing, all := 0, 0
	eventually(ctx, 30*time.Second, func() bool {
		book, err := ledger.Read(t.ledger)
		if err != nil {
			return false
		}
		missing, all = 0, 0
		for _, a := range t.load.all() {
			if a.tool == "here_publish" && a.ok() {
				all++
				if e := book[a.id]; e == nil || e.Events == 0 {
					missing++
				}
			}
		}
		return missing == 0
	})
	if t.Lost += missing; missing > 0 || all == 0 {
		t.broken("of %d durable events that were acknowledged %d were not handled", all, missing)
	}
}

func cluster(lasts time.Duration) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		nodes, yaml, err := t.nodes(ctx, 3)
		if err != nil {
			return err
		}
		s, err := t.pair(ctx, yaml)
		if err != nil {
			return err
		}
		if err := t.natsLoad(ctx, s); err != nil {
			return err
		}
		if err := t.beginSteady(ctx, s.url, 100*time.Millisecond, natsTargets[0]); err != nil {
			return err
		}
		pause(ctx, time.Second)
		var faults []time.Time
		for began, i := time.Now(), 0; time.Since(began) < lasts; i++ {
			n := nodes[i%len(nodes)]
			faults = append(faults, time.Now())
			n.kill()
			pause(ctx, 2*time.Second)
			if err := n.start(ctx, t); err != nil {
				return err
			}
			pause(ctx, 2*time.Second)
		}
		t.load.stop()
		asks := of(t.load.all(), "there_work")
		t.Detected, _ = firstFailed(asks, faults[0])
		for _, fault := range faults {
			worst := t.Recovered
			t.recovered(asks, fault, 4*time.Second)
			t.Recovered = max(t.Recovered, worst)
		}
		t.events(ctx)
		t.RSS = memory(s.pid(), "VmHWM:")
		t.judge(time.Time{})
		return nil
	}
}

// ownerStop suspends the process whose embedded broker all others use.
func ownerStop(ctx context.Context, t *trial) error {
	const yaml = overNATS + `  idle: {type: tally, config: {ledger: LEDGER}}
broker: {type: nats}
`
	owner, err := t.begin("openmas", yaml, "--agents", "idle", "--set", "gateway=off")
	if err != nil {
		return err
	}
	if _, ok := eventually(ctx, 30*time.Second, func() bool {
		st, err := t.status(ctx, owner, "idle")
		return err == nil && st.State == "ready"
	}); !ok {
		return fmt.Errorf("the owner is not up: %s", owner.said())
	}
	was, _, _ := stat(owner.pid())
	// All three have one project file, and so one state folder.
	there, err := t.begin("openmas", yaml, "--agents", "there", "--set", "gateway=off")
	if err != nil {
		return err
	}
	s, err := t.start(ctx, "openmas", yaml, "--agents", "here")
	if err != nil {
		return err
	}
	if _, ok := eventually(ctx, 30*time.Second, func() bool {
		_, err = t.warm(ctx, s.url, "there_work")
		return err == nil
	}); !ok {
		return fmt.Errorf("%w: %s", err, there.said())
	}
	t.newLoad()
	if err := t.natsLoad(ctx, s); err != nil {
		return err
	}
	pause(ctx, time.Second)
	fault := time.Now()
	if err := syscall.Kill(owner.pid(), syscall.SIGSTOP); err != nil {
		return err
	}
	took, gone := eventually(ctx, 15*time.Second, func() bool { return zombie(was) })
	if !gone {
		t.broken("the process with the broker was not ended within %v", took.Round(time.Second))
	}
	pause(ctx, 3*time.Second)
	t.load.stop()
	asks := of(t.load.all(), "there_work")
	t.Detected, _ = firstFailed(asks, fault)
	t.recovered(asks, fault, 6*time.Second)
	t.events(ctx)
	t.RSS = memory(s.pid(), "VmHWM:")
	t.judge(time.Time{})
	return nil
}

// slowConsumer publishes more than an agent can handle, and looks at the calls of others.
func slowConsumer(ctx context.Context, t *trial) error {
	s, err := t.start(ctx, "openmas", `
project: chaos
defaults: {timeout: 10s}
gateway: {listen: "127.0.0.1:0"}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  bus: {type: tally, communicator: pubsub, config: {ledger: LEDGER}}
  slow: {type: tally, config: {ledger: LEDGER, listen: true, slow: 50}}
`)
	if err != nil {
		return err
	}
	targets := []target{{tool: "here_work", ms: 2}, {tool: "bus_work", ms: 2}}
	if _, err := t.warmUp(ctx, s, 8, targets...); err != nil {
		return err
	}
	pause(ctx, time.Second)
	if err := t.beginLoad(ctx, s.url, 8, 10*time.Millisecond, targets...); err != nil {
		return err
	}
	pause(ctx, 2*time.Second)
	calm := p99(of(t.load.all(), "here_work", "bus_work"))
	fault := time.Now()
	clients, err := t.callers(ctx, s.url, 8)
	if err != nil {
		return err
	}
	published := t.load.many(ctx, 10000, func(i int) client { return clients[1+2*(i%4)] },
		func(int) target { return target{tool: "here_publish"} })
	t.load.stop()
	var during []*ask
	for _, a := range of(t.load.all(), "here_work", "bus_work") {
		if a.began.After(fault) {
			during = append(during, a)
		}
	}
	t.nothingFailed(during)
	t.Recovered = slowest(published)
	t.within("p99 of the others", p99(during), max(2*calm, 500*time.Millisecond))
	if t.RSS = memory(s.pid(), "VmHWM:"); t.RSS > 400 {
		t.broken("%d MiB for 10,000 events", t.RSS)
	}
	t.judge(time.Time{})
	return nil
}
