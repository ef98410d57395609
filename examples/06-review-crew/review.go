package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Review is the report of a tree. It says nothing of when or how it was made, so that equal trees
// give equal reports.
type Review struct {
	Root      string         `json:"root"`
	Files     int            `json:"files"`
	Lines     int            `json:"lines"`
	Functions int            `json:"functions"`
	HotSpots  []HotSpot      `json:"hotSpots"`
	Findings  map[string]int `json:"findings" jsonschema:"number of findings by rule"`
	Notes     []string       `json:"notes,omitempty"`

	mu    sync.Mutex
	spots map[string]*HotSpot
}

// HotSpot is a file that is complicated and changes often.
type HotSpot struct {
	Path       string `json:"path"`
	Score      int    `json:"score" jsonschema:"complexity times commits"`
	Complexity int    `json:"complexity" jsonschema:"of all functions, added up"`
	Commits    int    `json:"commits"`
	Last       string `json:"last,omitempty" jsonschema:"date of the last change"`
	Worst      string `json:"worst,omitempty" jsonschema:"the most complex function, and its complexity"`
	Findings   int    `json:"findings"`

	worst int
}

func newReview(root string, f Files) *Review {
	r := &Review{Root: root, Files: len(f.Paths), Lines: f.Lines, HotSpots: []HotSpot{}, Findings: map[string]int{},
		Notes: f.Notes, spots: map[string]*HotSpot{}}
	if len(f.Paths) == 0 {
		r.Notes = append(r.Notes, "no Go files here")
	}
	for _, p := range f.Paths {
		r.spots[p] = &HotSpot{Path: p}
	}
	return r
}

func (r *Review) measured(m Measures) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range m.Files {
		spot := r.spots[f.Path]
		if f.Error != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("%s cannot be parsed: %s", f.Path, firstLine(f.Error)))
		}
		r.Functions += len(f.Functions)
		for _, fn := range f.Functions {
			spot.Complexity += fn.Complexity
			if fn.Complexity > spot.worst {
				spot.worst, spot.Worst = fn.Complexity, fmt.Sprintf("%s:%d (%d)", fn.Name, fn.Line, fn.Complexity)
			}
		}
	}
}

func (r *Review) linted(f Findings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range f.Findings {
		r.Findings[x.Rule]++
		r.spots[x.Path].Findings++
	}
}

func (r *Review) dated(h History) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for path, c := range h.Files {
		r.spots[path].Commits, r.spots[path].Last = c.Commits, c.Last
	}
	r.Notes = append(r.Notes, h.Notes...)
}

// rank keeps the worst. A file without history counts as one commit, so that a tree without git is
// ranked by complexity.
func (r *Review) rank(top int) {
	for _, s := range r.spots {
		if s.Score = s.Complexity * max(s.Commits, 1); s.Score > 0 {
			r.HotSpots = append(r.HotSpots, *s)
		}
	}
	slices.SortFunc(r.HotSpots, func(a, b HotSpot) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Path, b.Path))
	})
	r.HotSpots = r.HotSpots[:min(top, len(r.HotSpots))]
	slices.Sort(r.Notes)
	r.Notes = slices.Compact(r.Notes)
}

// Markdown is the report for people.
func (r *Review) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Review\n\n%d files, %d lines, %d functions.\n", r.Files, r.Lines, r.Functions)
	if len(r.HotSpots) > 0 {
		b.WriteString("\n## Hot spots\n\nComplexity times commits: what is hard to understand and changes often.\n\n" +
			"| score | file | complexity | commits | last change | worst function | findings " +
			"|\n|---:|---|---:|---:|---|---|---:|\n")
		for _, s := range r.HotSpots {
			fmt.Fprintf(&b, "| %d | %s | %d | %d | %s | %s | %d |\n", s.Score, s.Path, s.Complexity, s.Commits, s.Last,
				s.Worst, s.Findings)
		}
	}
	b.WriteString("\n## Findings\n\n")
	for _, rule := range []struct{ name, text string }{{"undocumented", "exported and undocumented"},
		{"ignored", "results thrown away"}, {"long", "over-long functions"}} {
		fmt.Fprintf(&b, "- %d %s\n", r.Findings[rule.name], rule.text)
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "- %s\n", n)
		}
	}
	return b.String()
}
