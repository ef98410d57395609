package telemetry

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/openmas/openmas/agent"
)

// maxSeries bounds the series of an instrument. What is beyond shares one, which has the attribute
// otel.metric.overflow.
const maxSeries = 2000

// Operations measure how long operations take, for each agent, tool and code. Safe for concurrent
// use; nil *Operations are off.
type Operations struct {
	took metric.Float64Histogram
	// offers reports whether an agent has a tool.
	offers func(agent, tool string) bool

	mu     sync.Mutex // of whoever adds a series
	series atomic.Pointer[map[operation][]metric.RecordOption]
}

// An operation is a series.
type operation struct {
	agent, tool, over string
	op                agent.Op
	code              agent.Code // empty: it succeeded
}

func newOperations(took metric.Float64Histogram, offers func(agent, tool string) bool) *Operations {
	o := &Operations{took: took, offers: offers}
	o.series.Store(&map[operation][]metric.RecordOption{})
	return o
}

// Record measures a call over a communicator that has ended; ctx is that of its span. Events are no
// operations.
func (o *Operations) Record(ctx context.Context, c *agent.Call, over string, took time.Duration, err error) {
	if o == nil || c.Op == agent.OpEvent {
		return
	}
	key := operation{agent: c.Agent, op: c.Op, over: over}
	if c.Op == agent.OpTool {
		key.tool = c.Name
	}
	if err != nil {
		key.code = agent.CodeOf(err)
	}
	options, ok := (*o.series.Load())[key]
	if !ok {
		options = o.add(key)
	}
	o.took.Record(ctx, took.Seconds(), options...)
}

// Measure measures calls to next that come from outside; when it is off, it is the identity.
func (o *Operations) Measure(next agent.Caller) agent.Caller {
	if o == nil {
		return next
	}
	return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		began := time.Now()
		res, err := next.Call(ctx, c)
		o.Record(ctx, c, "", time.Since(began), err)
		return res, err
	})
}

// add makes a series. Callers can make up names, and a foreign server may answer to any: tools that
// are not offered have none, nor have those beyond the bound.
func (o *Operations) add(key operation) []metric.RecordOption {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := *o.series.Load()
	if key.tool != "" && !o.offers(key.agent, key.tool) {
		key.tool = ""
	}
	if len(all) >= maxSeries {
		key.tool, key.code = "", ""
	}
	if options, ok := all[key]; ok || len(all) >= 2*maxSeries {
		return options
	}
	all = maps.Clone(all)
	options := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(key.attributes()...))}
	all[key] = options
	o.series.Store(&all)
	return options
}

func (k operation) attributes() []attribute.KeyValue {
	out := append(Hop{Communicator: k.over}.attributes(""), attribute.String("gen_ai.agent.name", clean(k.agent)))
	switch k.op {
	case agent.OpTool:
		out = append(out, attribute.String("mcp.method.name", "tools/call"),
			attribute.String("gen_ai.operation.name", "execute_tool"))
		if k.tool != "" {
			out = append(out, attribute.String("gen_ai.tool.name", clean(k.tool)))
		}
	case agent.OpPrompt:
		out = append(out, attribute.String("mcp.method.name", "prompts/get"))
	case agent.OpResource:
		out = append(out, attribute.String("mcp.method.name", "resources/read"))
	case agent.OpComplete:
		out = append(out, attribute.String("mcp.method.name", "completion/complete"))
	}
	return append(out, errorAttributes(k.code)...)
}

// errorAttributes are the attributes of what ended with a code.
func errorAttributes(code agent.Code) []attribute.KeyValue {
	kind := string(code)
	switch code {
	case "":
		return nil
	case agent.CodeToolFailed:
		kind = "tool_error"
	}
	return []attribute.KeyValue{attribute.String("error.type", kind), attribute.String("openmas.code", string(code))}
}
