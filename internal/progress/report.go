package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A report is what the events of `go test -json` come to; `go doc test2json` has them.
type report struct {
	*printer
	module         string // left out of names
	packages, done int
	count          map[string]int // of tests, without their subtests, by how they ended
	running        map[string]*running
	output         map[string][]string // of what has not ended
	failures       []string
}

// running is a package under test.
type running struct {
	began time.Time
	test  string // the one that began last
	tests int
}

func newReport(p *printer, module string, packages int) *report {
	return &report{printer: p, module: module + "/", packages: packages, count: map[string]int{},
		running: map[string]*running{}, output: map[string][]string{}}
}

// status says what is tested now.
func (r *report) status() string {
	text := fmt.Sprintf("testing: %d of %d packages, %d failures", r.done, r.packages, r.count["fail"])
	for _, name := range slices.Sorted(maps.Keys(r.running)) {
		text += fmt.Sprintf("; %s %v %s", name, since(r.running[name].began), r.running[name].test)
	}
	return text
}

// line takes a line of go test.
func (r *report) line(line string) {
	var e struct {
		Action, Package, Test, Output, ImportPath string
		Elapsed                                   float64
	}
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		r.print("%s", line)
		return
	}
	name := strings.TrimPrefix(e.Package, r.module)
	of := strings.Join([]string{e.ImportPath, e.Package, e.Test}, " ")
	switch p := r.running[name]; e.Action {
	case "start":
		r.running[name] = &running{began: time.Now()}
	case "run":
		p.test = e.Test
	case "output", "build-output":
		if text := strings.TrimSuffix(e.Output, "\n"); !strings.HasPrefix(text, "=== ") {
			r.output[of] = append(r.output[of], text)
		}
	case "pass", "skip", "fail", "build-fail":
		if strings.HasSuffix(e.Action, "fail") {
			r.failures = append(r.failures, r.output[of]...)
		}
		switch delete(r.output, of); {
		case e.Test == "" && p != nil:
			r.done++
			delete(r.running, name)
			if p.tests > 0 || e.Action == "fail" {
				r.print("%-4s %6.1fs  %s, %d tests", e.Action, e.Elapsed, name, p.tests)
			}
		case e.Test != "" && !strings.Contains(e.Test, "/"):
			p.tests++
			r.count[e.Action]++
		}
	}
}

// summary shows what failed, and then how many did.
func (r *report) summary(code int) {
	for _, line := range r.failures {
		r.print("%s", line)
	}
	verdict := "ok"
	if code != 0 {
		verdict = "FAILED"
	}
	r.print("%s: %d tests passed, %d failed, %d were skipped, in %v", verdict, r.count["pass"], r.count["fail"],
		r.count["skip"], since(r.began))
}
