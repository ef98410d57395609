package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// report gathers the measurements of all rounds.
type report struct {
	names []string
	runs  map[key][]result
}

type key struct {
	name    string
	callers int
}

func newReport(all []variant) *report {
	r := &report{runs: map[key][]result{}}
	for _, v := range all {
		r.names = append(r.names, v.name)
	}
	return r
}

func (r *report) add(name string, callers int, res result) {
	k := key{name, callers}
	r.runs[k] = append(r.runs[k], res)
}

// median is the median over the rounds of what get says of one.
func median(n int, get func(round int) float64) float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = get(i)
	}
	slices.Sort(v)
	return v[n/2]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// The columns of the table.
func ops(r result) float64 { return r.ops }
func p50(r result) float64 { return micros(r.p50) }
func p99(r result) float64 { return micros(r.p99) }

// table prints medians. A variant is TRANSPORT/CLIENT-SERVER.
func (r *report) table(w io.Writer, callers int) {
	fmt.Fprintf(w, "\n%d callers on one session; medians\n%-20s %9s %9s %9s %16s %16s\n%-20s %9s %9s %9s %16s %16s\n",
		callers, "", "", "", "", "allocs per call", "CPU µs per call", "client-server", "calls/s", "p50 µs", "p99 µs",
		"client  server", "client  server")
	for _, name := range r.names {
		runs := r.runs[key{name, callers}]
		col := func(get func(result) float64) float64 {
			return median(len(runs), func(i int) float64 { return get(runs[i]) })
		}
		fmt.Fprintf(w, "%-20s %9.0f %9.1f %9.1f %8.1f%8.1f %8.1f%8.1f\n", name, col(ops), col(p50), col(p99),
			col(func(r result) float64 {
				return r.client.Mallocs
			}), col(func(r result) float64 { return r.server.Mallocs }),
			col(func(r result) float64 { return r.client.CPU }), col(func(r result) float64 { return r.server.CPU }))
	}
}

// target is a ratio that this module promises: of variant a to variant b, at least or at most want.
type target struct {
	a, b    string
	callers int
	what    string
	get     func(result) float64
	atLeast bool
	want    float64
}

func targets() (all []target) {
	for way, want := range map[string]float64{overStdio: 2, overSSE: 1.6, overHTTP: 1.8} {
		both, theirs, stock := way+"/ours-ours", way+"/mcpgo-mcpgo", way+"/gosdk-gosdk"
		all = append(all,
			target{both, theirs, 64, "calls/s", ops, true, want},
			target{both, theirs, 64, "p99", p99, false, 1},
			target{both, theirs, 1, "p50", p50, false, 0.8},
			target{way + "/mcpgo-ours", theirs, 64, "calls/s", ops, true, 1.2},
			target{way + "/gosdk-ours", stock, 64, "calls/s", ops, true, 2})
	}
	slices.SortFunc(all, func(a, b target) int {
		return slices.Compare([]string{a.a, a.what}, []string{b.a, b.what})
	})
	return all
}

// targets prints how the ratios within the rounds compare with what is promised.
func (r *report) targets(w io.Writer) {
	fmt.Fprintf(w, "\n%-20s %-20s %8s %-8s %7s %8s\n", "", "against", "callers", "of", "ratio", "promised")
	for _, t := range targets() {
		a, b := r.runs[key{t.a, t.callers}], r.runs[key{t.b, t.callers}]
		if len(a) == 0 || len(a) != len(b) {
			continue
		}
		ratio := median(len(a), func(i int) float64 { return t.get(a[i]) / t.get(b[i]) })
		sign, kept := "<=", ratio <= t.want
		if t.atLeast {
			sign, kept = ">=", ratio >= t.want
		}
		verdict := ""
		if !kept {
			verdict = "  missed"
		}
		fmt.Fprintf(w, "%-20s %-20s %8d %-8s %7.2f %5s %.1f%s\n", t.a, t.b, t.callers, t.what, ratio, sign, t.want,
			verdict)
	}
}
