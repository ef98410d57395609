//go:build linux

package main

import (
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/chaos/ledger"
)

// The judge sees each way in which a promise can be broken, and nothing else.
func TestJudge(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		ask   ask
		lines []string
		cut   time.Time
		want  figures
	}{
		"well":            {ask{}, []string{"began", "ended"}, time.Time{}, figures{OK: 1}},
		"safe, run twice": {ask{safe: true}, []string{"began", "began", "ended"}, time.Time{}, figures{OK: 1}},
		"run twice":       {ask{}, []string{"began", "began", "ended"}, time.Time{}, figures{OK: 1, Twice: 1}},
		"failed, run twice": {ask{code: "x"}, []string{"began", "began"}, time.Time{},
			figures{Twice: 1, Failed: map[string]int{"x": 1}}},
		"lost":           {ask{}, nil, time.Time{}, figures{OK: 1, Lost: 1}},
		"begun and lost": {ask{}, []string{"began"}, time.Time{}, figures{OK: 1, Lost: 1}},
		"wrong":          {ask{wrong: true}, []string{"began", "ended"}, time.Time{}, figures{Wrong: 1}},
		"no answer":      {ask{none: true}, []string{"began"}, time.Time{}, figures{None: 1}},
		"failed":         {ask{code: "x", notRun: true}, nil, time.Time{}, figures{Failed: map[string]int{"x": 1}}},
		"not true": {ask{code: "x", notRun: true}, []string{"began"}, time.Time{},
			figures{Untrue: 1, Failed: map[string]int{"x": 1}}},
		"after the cut":        {ask{none: true, began: now}, nil, now.Add(-1), figures{Failed: map[string]int{"refused": 1}}},
		"before the cut":       {ask{none: true, began: now}, nil, now.Add(1), figures{None: 1}},
		"after the cut, begun": {ask{none: true, began: now}, []string{"began"}, now.Add(-1), figures{None: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ledger")
			book, err := ledger.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range test.lines {
				if err := book.Append(word, "a", "work"); err != nil {
					t.Fatal(err)
				}
			}
			test.ask.id = "a"
			got := trial{ledger: file, load: &load{asks: []*ask{&test.ask}}}
			got.judge(test.cut)
			w := test.want
			if got.OK != w.OK || got.None != w.None || got.Wrong != w.Wrong || got.Twice != w.Twice ||
				got.Lost != w.Lost || got.Untrue != w.Untrue || !maps.Equal(got.Failed, w.Failed) {
				t.Errorf("got %+v", got.figures)
			}
			if broken := w.None+w.Wrong+w.Twice+w.Lost+w.Untrue > 0; broken != (len(got.Broken) > 0) {
				t.Errorf("broken: %q", got.Broken)
			}
		})
	}
}
