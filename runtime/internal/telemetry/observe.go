package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/openmas/openmas/agent"
)

// Sent counts an event that was published to a broker.
func (m *Metrics) Sent(ctx context.Context, system, topic string, err error) {
	if m != nil {
		m.events.sent.Add(ctx, 1, metric.WithAttributes(about("send", system, topic, err)...))
	}
}

// Handled measures an attempt of an agent to handle an event. What failed is measured too.
func (m *Metrics) Handled(ctx context.Context, system, name, topic string, attempt int, took time.Duration, err error) {
	if m == nil {
		return
	}
	who := attribute.String("gen_ai.agent.name", clean(name))
	m.events.took.Record(ctx, took.Seconds(), metric.WithAttributes(append(about("process", system, topic, err),
		who)...))
	if attempt > 1 {
		m.events.again.Add(ctx, 1, subscription(name, topic))
	}
}

// Subscribed has the counters of an agent's subscription begin with zero, so that the first event
// that is counted is an increase.
func (m *Metrics) Subscribed(name, topic string) {
	if m != nil {
		m.events.again.Add(context.Background(), 0, subscription(name, topic))
		m.events.dead.Add(context.Background(), 0, subscription(name, topic))
	}
}

func subscription(name, topic string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("gen_ai.agent.name", clean(name)),
		attribute.String("messaging.destination.name", clean(topic)))
}

// Dead counts an event that no attempt of an agent could handle.
func (m *Metrics) Dead(name, topic string) {
	if m != nil {
		m.events.dead.Add(context.Background(), 1, subscription(name, topic))
	}
}

func about(operation, system, topic string, err error) []attribute.KeyValue {
	out := append(messaging(operation, topic), attribute.String("messaging.system", system))
	if err != nil {
		out = append(out, errorAttributes(agent.CodeOf(err))...)
	}
	return out
}

// ClientSession measures a session to an MCP server, which has ended.
func (m *Metrics) ClientSession(ctx context.Context, name, over string, took time.Duration, err error) {
	if m != nil {
		m.clientSessions.Record(ctx, took.Seconds(), metric.WithAttributes(session(name, over, err)...))
	}
}

// ServerSession measures a session of an MCP client, which has ended.
func (m *Metrics) ServerSession(over string, took time.Duration) {
	if m != nil {
		m.serverSessions.Record(context.Background(), took.Seconds(), metric.WithAttributes(session("", over, nil)...))
	}
}

func session(name, over string, err error) []attribute.KeyValue {
	out := Hop{Communicator: over}.attributes("")
	if name != "" {
		out = append(out, attribute.String("gen_ai.agent.name", clean(name)))
	}
	if err != nil {
		out = append(out, errorAttributes(agent.CodeOf(err))...)
	}
	return out
}

// A Snapshot is what instruments ask for when they are read.
type Snapshot struct {
	Agents []AgentSnapshot
	// Sessions of the gateway's clients that are open, by communicator: mcp-sse, mcp-http.
	Sessions map[string]int
}

// An AgentSnapshot is an agent as this process sees it. What is counted is counted since its start.
type AgentSnapshot struct {
	Name, Communicator            string
	InFlight, Queued              int
	Retries, Restarts, Reconnects int64
	// Instances by state. State "ready" is there, even if it is zero.
	Instances map[string]int
	// Breakers that are not closed, by state. State "open" is there, even if it is zero.
	Breakers map[string]int
}

// Observe has the instruments that are asked for their values ask now. It is called once.
func (m *Metrics) Observe(now func() Snapshot) error {
	if m == nil {
		return nil
	}
	var all []metric.Observable
	var failure error
	made := func(i metric.Observable, err error) {
		if all = append(all, i); err != nil && failure == nil {
			failure = err
		}
	}
	gauge := func(name, unit, about string) metric.Int64ObservableUpDownCounter {
		i, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
		made(i, err)
		return i
	}
	counter := func(name, unit, about string) metric.Int64ObservableCounter {
		i, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(about))
		made(i, err)
		return i
	}
	inFlight := gauge("openmas.calls.in_flight", "{call}", "Calls that run now, of callers in this process.")
	queued := gauge("openmas.calls.queued", "{call}", "Calls that wait for their turn, or for an instance.")
	breakers := gauge("openmas.breakers", "{breaker}", "Breakers of tools that are not closed, by state.")
	instances := gauge("openmas.instances", "{instance}", "Instances of an agent, by state.")
	sessions := gauge("openmas.sessions.open", "{session}", "Sessions of MCP clients that are open.")
	retries := counter("openmas.retries", "{attempt}", "Attempts at calls, after the first.")
	restarts := counter("openmas.restarts", "{restart}", "Restarts of child processes.")
	reconnects := counter("openmas.reconnects", "{connection}", "Sessions to MCP servers that were lost.")
	if failure != nil {
		return fmt.Errorf("telemetry: make instruments: %w", failure)
	}
	_, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := now()
		for _, a := range s.Agents {
			name := attribute.String("gen_ai.agent.name", clean(a.Name))
			is := metric.WithAttributeSet(attribute.NewSet(name))
			o.ObserveInt64(inFlight, int64(a.InFlight), is)
			o.ObserveInt64(queued, int64(a.Queued), is)
			o.ObserveInt64(retries, a.Retries, is)
			o.ObserveInt64(restarts, a.Restarts, is)
			o.ObserveInt64(reconnects, a.Reconnects, is)
			for state, n := range a.Instances {
				o.ObserveInt64(instances, int64(n), metric.WithAttributes(name,
					attribute.String("openmas.state", state)))
			}
			for state, n := range a.Breakers {
				o.ObserveInt64(breakers, int64(n), metric.WithAttributes(name,
					attribute.String("openmas.state", state)))
			}
		}
		for over, n := range s.Sessions {
			o.ObserveInt64(sessions, int64(n), metric.WithAttributes(session("", over, nil)...))
		}
		return nil
	}, all...)
	if err != nil {
		return fmt.Errorf("telemetry: observe: %w", err)
	}
	return nil
}
