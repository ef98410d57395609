//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figures are what one run of a row found. A time that is zero was not there.
type figures struct {
	Detected   time.Duration  `json:"-"`
	Recovered  time.Duration  `json:"-"`
	OK         int            `json:"ok"`
	Failed     map[string]int `json:"failed"` // by code
	None       int            `json:"noAnswer"`
	Wrong      int            `json:"wrong"`
	Twice      int            `json:"twice"`  // executions of what is not safe to repeat
	Lost       int            `json:"lost"`   // acknowledged, and not executed
	Untrue     int            `json:"untrue"` // executed, though the error says they were not
	Goroutines int            `json:"goroutines"`
	Files      int            `json:"files"` // open descriptors
	RSS        int            `json:"peakRssMiB"`
	Broken     []string       `json:"broken"`
}

func (f *figures) fail(code string) {
	if f.Failed == nil {
		f.Failed = map[string]int{}
	}
	f.Failed[code]++
}

// say prints what was odd about one call, for as long as there are few.
func (f *figures) say(format string, args ...any) {
	if f.None+f.Wrong+f.Twice+f.Lost+f.Untrue <= 5 {
		fmt.Fprintf(os.Stderr, "chaos:   "+format+"\n", args...)
	}
}

// A report is a row with the worst figures of all runs.
type report struct {
	Name  string `json:"name"`
	Fault string `json:"fault"`
	Runs  int    `json:"runs"`
	Green int    `json:"green"`
	figures
	DetectedMS  int64 `json:"detectedMs"`
	RecoveredMS int64 `json:"recoveredMs"`
}

// add takes over what is worse than before.
func (r *report) add(f *figures) {
	first := r.Runs == 0
	r.Runs++
	if len(f.Broken) == 0 {
		r.Green++
	}
	if first {
		r.OK = f.OK
	}
	r.OK = min(r.OK, f.OK)
	for code, n := range f.Failed {
		if r.Failed == nil {
			r.Failed = map[string]int{}
		}
		r.Failed[code] = max(r.Failed[code], n)
	}
	r.None, r.Wrong, r.Twice = max(r.None, f.None), max(r.Wrong, f.Wrong), max(r.Twice, f.Twice)
	r.Lost, r.Untrue = max(r.Lost, f.Lost), max(r.Untrue, f.Untrue)
	r.Goroutines, r.Files = max(r.Goroutines, f.Goroutines), max(r.Files, f.Files)
	r.RSS = max(r.RSS, f.RSS)
	r.Detected, r.Recovered = max(r.Detected, f.Detected), max(r.Recovered, f.Recovered)
	r.DetectedMS, r.RecoveredMS = r.Detected.Milliseconds(), r.Recovered.Milliseconds()
	for _, b := range f.Broken {
		if !slices.Contains(r.Broken, b) && len(r.Broken) < 10 {
			r.Broken = append(r.Broken, b)
		}
	}
}

// show prints the table.
func show(w io.Writer, rows []*report, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	t.Write([]byte("FAULT\tDETECTED ms\tRECOVERED ms\tOK\tFAILED\tNO ANSWER\tWRONG\tTWICE\tLOST\tGOROUTINES\tFILES\tRSS MiB\tGREEN\n"))
	for _, r := range rows {
		var failed []string
		for _, code := range slices.Sorted(maps.Keys(r.Failed)) {
			failed = append(failed, fmt.Sprintf("%d %s", r.Failed[code], code))
		}
		if failed == nil {
			failed = []string{"0"}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%+d\t%+d\t%d\t%d/%d\n", r.Fault, ms(r.Detected),
			ms(r.Recovered), r.OK, strings.Join(failed, ", "), r.None, r.Wrong, r.Twice, r.Lost, r.Goroutines, r.Files,
			r.RSS, r.Green, r.Runs)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		for _, b := range r.Broken {
			if _, err := fmt.Fprintf(w, "BROKEN: %s (%s): %s\n", r.Fault, r.Name, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func ms(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprint(max(1, d.Milliseconds()))
}
