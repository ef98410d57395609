package traces

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Trace is what is known of one.
type Trace struct {
	ID    string
	Spans []Span // each once, by their start
}

// Group makes traces of spans, the one that began last at the end.
func Group(spans []Span) []Trace {
	byID := map[string]*Trace{}
	seen := map[string]bool{}
	for _, s := range spans {
		if seen[s.TraceID+s.ID] {
			continue
		}
		seen[s.TraceID+s.ID] = true
		if byID[s.TraceID] == nil {
			byID[s.TraceID] = &Trace{ID: s.TraceID}
		}
		byID[s.TraceID].Spans = append(byID[s.TraceID].Spans, s)
	}
	var all []Trace
	for _, t := range byID {
		slices.SortStableFunc(t.Spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Trace) int {
		return cmp.Or(a.Spans[0].Start.Compare(b.Spans[0].Start), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Failed reports whether a span of it failed, or is of a request that was wrong, which is no
// failure of the span's.
func (t *Trace) Failed() bool {
	return slices.ContainsFunc(t.Spans, func(s Span) bool { return s.Failed || s.Text("openmas.code") != "" })
}

// Bounds are when it began and ended, as far as it is known.
func (t *Trace) Bounds() (start, end time.Time) {
	start = t.Spans[0].Start
	for i := range t.Spans {
		if t.Spans[i].End.After(end) {
			end = t.Spans[i].End
		}
	}
	return start, end
}

// A Node is a span with those below it.
type Node struct {
	*Span
	Below []*Node

	way  int  // which way up first passed it; see [Trace.Tree]
	root bool // of a circle
}

// Tree returns the roots: spans without a parent, those whose parent is not known, and one of each
// circle, since what a stranger sends may go in circles.
func (t *Trace) Tree() []*Node {
	nodes := make(map[string]*Node, len(t.Spans))
	for i := range t.Spans {
		nodes[t.Spans[i].ID] = &Node{Span: &t.Spans[i]}
	}
	// Each way up ends where another one has passed, so that every span is passed once. A way that
	// meets itself has found a circle.
	for i := range t.Spans {
		n := nodes[t.Spans[i].ID]
		for n != nil && n.way == 0 {
			n.way = i + 1
			n = nodes[n.Parent]
		}
		if n != nil && n.way == i+1 {
			n.root = true
		}
	}
	var roots []*Node
	for i := range t.Spans {
		n := nodes[t.Spans[i].ID]
		if parent := nodes[n.Parent]; parent != nil && !n.root {
			parent.Below = append(parent.Below, n)
		} else {
			roots = append(roots, n)
		}
	}
	return roots
}
