// Package traces is how traces are kept in files and shown: OTLP in JSON, one object per line, as
// the OpenTelemetry Collector writes it, and a tree of calls for a terminal.
package traces

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Kinds of spans, as OTLP numbers them.
const (
	Internal = iota + 1
	Server
	Client
	Producer
	Consumer
)

// A Span is one of a trace.
type Span struct {
	TraceID, ID, Parent string // in hexadecimal digits; Parent is empty for a root
	Name                string
	Kind                int
	Start, End          time.Time
	// Attributes are strings, numbers (int64, float64), booleans or lists of them.
	Attributes map[string]any
	Events     []Event
	// Failed is whether its status is an error, and Message that of the status.
	Failed  bool
	Message string
	// Resource describes the service; spans of one share it.
	Resource map[string]any
}

// An Event of a span is a moment in it.
type Event struct {
	Name       string
	Time       time.Time
	Attributes map[string]any
}

// Text returns an attribute as text; empty where there is none.
func (s *Span) Text(key string) string {
	if v, ok := s.Attributes[key]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// Service is the service that the span is of.
func (s *Span) Service() string {
	name, _ := s.Resource["service.name"].(string)
	return name
}

// Took is how long it took.
func (s *Span) Took() time.Duration { return max(s.End.Sub(s.Start), 0) }

// What follows is OTLP in JSON.

type otlp struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
	Result        *otlp           `json:"result,omitempty"` // as Jaeger's API wraps it
}

type resourceSpans struct {
	Resource   resource     `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
}

type resource struct {
	Attributes attributes `json:"attributes"`
}

type scopeSpans struct {
	Spans []span `json:"spans"`
}

type span struct {
	TraceID    string     `json:"traceId"`
	ID         string     `json:"spanId"`
	Parent     string     `json:"parentSpanId,omitempty"`
	Name       string     `json:"name"`
	Kind       kind       `json:"kind"`
	Start      nanos      `json:"startTimeUnixNano"`
	End        nanos      `json:"endTimeUnixNano"`
	Attributes attributes `json:"attributes,omitempty"`
	Events     []event    `json:"events,omitempty"`
	Status     status     `json:"status"`
}

type event struct {
	Name       string     `json:"name"`
	Time       nanos      `json:"timeUnixNano"`
	Attributes attributes `json:"attributes,omitempty"`
}

type status struct {
	Code    statusCode `json:"code,omitempty"`
	Message string     `json:"message,omitempty"`
}

// Append appends spans to b as one line. Those of one resource have to stand together.
func Append(b []byte, spans []Span) ([]byte, error) {
	var o otlp
	for i, s := range spans {
		if i == 0 || !maps.EqualFunc(s.Resource, spans[i-1].Resource, func(a, b any) bool {
			return fmt.Sprint(a) == fmt.Sprint(b)
		}) {
			o.ResourceSpans = append(o.ResourceSpans, resourceSpans{resource{s.Resource}, []scopeSpans{{}}})
		}
		out := span{TraceID: s.TraceID, ID: s.ID, Parent: s.Parent, Name: s.Name, Kind: kind(s.Kind),
			Start: nanos(s.Start.UnixNano()), End: nanos(s.End.UnixNano()), Attributes: s.Attributes,
			Status: status{Message: s.Message}}
		if s.Failed {
			out.Status.Code = failed
		}
		for _, e := range s.Events {
			out.Events = append(out.Events, event{e.Name, nanos(e.Time.UnixNano()), e.Attributes})
		}
		of := &o.ResourceSpans[len(o.ResourceSpans)-1].ScopeSpans[0]
		of.Spans = append(of.Spans, out)
	}
	line, err := json.Marshal(o)
	return append(append(b, line...), '\n'), err
}

// Parse reads one object of OTLP.
func Parse(text []byte) ([]Span, error) {
	var o otlp
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, err
	}
	if o.Result != nil {
		o.ResourceSpans = slices.Concat(o.ResourceSpans, o.Result.ResourceSpans)
	}
	var all []Span
	for _, r := range o.ResourceSpans {
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				out := Span{TraceID: s.TraceID, ID: s.ID, Parent: s.Parent, Name: s.Name, Kind: int(s.Kind),
					Start: s.Start.time(), End: s.End.time(), Attributes: s.Attributes,
					Failed: s.Status.Code == failed, Message: s.Status.Message, Resource: r.Resource.Attributes}
				for _, e := range s.Events {
					out.Events = append(out.Events, Event{e.Name, e.Time.time(), e.Attributes})
				}
				all = append(all, out)
			}
		}
	}
	return all, nil
}

// kind and statusCode are numbers, or words as protojson writes them.
type kind int

var kinds = []string{"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT",
	"SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"}

// UnmarshalJSON implements json.Unmarshaler.
func (k *kind) UnmarshalJSON(b []byte) error { return number((*int)(k), b, kinds) }

type statusCode int

const failed statusCode = 2

var statusCodes = []string{"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"}

// UnmarshalJSON implements json.Unmarshaler.
func (c *statusCode) UnmarshalJSON(b []byte) error { return number((*int)(c), b, statusCodes) }

func number(n *int, b []byte, words []string) (err error) {
	if i := slices.Index(words, unquoted(b)); i >= 0 {
		*n = i
		return nil
	}
	*n, err = strconv.Atoi(unquoted(b))
	return err
}
