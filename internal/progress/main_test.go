package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// The output of the compiler is kept apart from the names of the packages.
func TestBuild(t *testing.T) {
	testkit.Processes(t)
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26\n",
		"a/a.go": "package a\n\nconst A = 1\n",
		"b/b.go": "package b\n\nimport _ \"example.com/m/a\"\n\nconst B = 1\n",
		"c/c.go": "package c\n\nconst C = undefined\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	code, errs := build(newPrinter(&out), "build", []string{"./a", "./b"})
	if code != 0 || errs != nil || !strings.HasPrefix(out.String(), "compiled 2 packages in ") {
		t.Errorf("exit code %d, %q, printed %q", code, errs, &out)
	}
	code, errs = build(newPrinter(&out), "build", []string{"./c"})
	if code != 1 || !strings.Contains(strings.Join(errs, "\n"), "c.go:3:11: undefined: undefined") {
		t.Errorf("exit code %d, %q", code, errs)
	}
}

// The status is printed after a second, and when nothing else was printed for five.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p, lines := newPrinter(&out), make(chan string)
		go func() {
			defer close(lines)
			for range 4 {
				time.Sleep(3 * time.Second)
				lines <- "line"
			}
			time.Sleep(11 * time.Second)
		}()
		p.follow(lines, func(line string) { p.print("%s", line) }, func() string { return "status" })
		if want := "status\nline\nline\nline\nline\nstatus\nstatus\n"; out.String() != want {
			t.Errorf("printed %q, want %q", &out, want)
		}
	})
}

// What failed is printed after all that did not, with what it wrote and nothing of what passed.
func TestFailuresComeLast(t *testing.T) {
	var out strings.Builder
	r := newReport(newPrinter(&out), "example.com/m", 3)
	for line := range strings.Lines(events) {
		r.line(strings.TrimSuffix(line, "\n"))
	}
	r.summary(1)
	if out.String() != report3 {
		t.Errorf("printed\n%s\nwant\n%s", &out, report3)
	}
}

const events = `go: a line that is no event
{"ImportPath":"example.com/m/b [example.com/m/b.test]","Action":"build-output","Output":"# example.com/m/b\n"}
{"ImportPath":"example.com/m/b [example.com/m/b.test]","Action":"build-output","Output":"b/b.go:3:12: undefined: x\n"}
{"ImportPath":"example.com/m/b [example.com/m/b.test]","Action":"build-fail"}
{"Action":"start","Package":"example.com/m/a"}
{"Action":"start","Package":"example.com/m/b"}
{"Action":"fail","Package":"example.com/m/b","Elapsed":0}
{"Action":"run","Package":"example.com/m/a","Test":"TestA"}
{"Action":"output","Package":"example.com/m/a","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"run","Package":"example.com/m/a","Test":"TestA/x"}
{"Action":"run","Package":"example.com/m/a","Test":"TestA/y"}
{"Action":"output","Package":"example.com/m/a","Test":"TestA/x","Output":"    a_test.go:5: bad\n"}
{"Action":"output","Package":"example.com/m/a","Test":"TestA/y","Output":"    a_test.go:6: fine\n"}
{"Action":"output","Package":"example.com/m/a","Test":"TestA/x","Output":"--- FAIL: TestA/x (0.00s)\n"}
{"Action":"fail","Package":"example.com/m/a","Test":"TestA/x","Elapsed":0}
{"Action":"pass","Package":"example.com/m/a","Test":"TestA/y","Elapsed":0}
{"Action":"output","Package":"example.com/m/a","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"example.com/m/a","Test":"TestA","Elapsed":0}
{"Action":"run","Package":"example.com/m/a","Test":"TestB"}
{"Action":"pass","Package":"example.com/m/a","Test":"TestB","Elapsed":0}
{"Action":"output","Package":"example.com/m/a","Output":"FAIL\texample.com/m/a\t0.003s\n"}
{"Action":"fail","Package":"example.com/m/a","Elapsed":1.25}
{"Action":"start","Package":"example.com/m"}
{"Action":"run","Package":"example.com/m","Test":"TestSkipped"}
{"Action":"skip","Package":"example.com/m","Test":"TestSkipped","Elapsed":0}
{"Action":"pass","Package":"example.com/m","Elapsed":0.5}
`

const report3 = `go: a line that is no event
fail    0.0s  b, 0 tests
fail    1.2s  a, 2 tests
pass    0.5s  example.com/m, 1 tests
# example.com/m/b
b/b.go:3:12: undefined: x
    a_test.go:5: bad
--- FAIL: TestA/x (0.00s)
--- FAIL: TestA (0.00s)
FAIL	example.com/m/a	0.003s
FAILED: 1 tests passed, 1 failed, 1 were skipped, in 0s
`
