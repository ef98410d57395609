// Command progress runs `go build` and `go test` and prints how far they are: after a second for
// the first time, then whenever five seconds were silent. What failed comes last, so that nobody
// scrolls.
//
//	progress build ARGUMENTS    runs go build
//	progress install ARGUMENTS  runs go install
//	progress test ARGUMENTS     compiles the packages here, then runs go test
//
// A flag with a value is one argument: -timeout=10m. The exit code is the go command's.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"
)

func main() {
	// An interrupt is for the go command, which is in the same process group.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	code, p := 2, newPrinter(os.Stdout)
	switch args := os.Args[1:]; {
	case len(args) > 0 && (args[0] == "build" || args[0] == "install"):
		var errs []string
		if code, errs = build(p, args[0], args[1:]); code != 0 {
			p.print("%s", strings.Join(errs, "\n"))
		}
	case len(args) > 0 && args[0] == "test":
		code = test(p, args[1:])
	default:
		p.print("progress: the first argument is build, install or test")
	}
	os.Exit(code)
}

// build runs go build, or go install, and counts the packages that it names. It returns the exit
// code and what the compiler said.
func build(p *printer, verb string, args []string) (code int, errs []string) {
	n, now, total, began := 0, "", len(list("-deps", args)), time.Now()
	code = stream(p, append([]string{verb, "-v"}, args...), func(line string) {
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			now = "; " + line
		case strings.ContainsAny(line, " :"): // no import path has these
			errs = append(errs, line)
		default:
			n, now = n+1, "; "+line
		}
	}, func() string { return fmt.Sprintf("building: %d packages compiled of at most %d%s", n, total, now) })
	if n > 0 {
		p.print("compiled %d packages in %v", n, since(began))
	}
	return code, errs
}

// test compiles first, because go test is silent until the first test binary is linked. What does
// not compile is for go test to say, which then tests the rest.
func test(p *printer, args []string) int {
	compile := list(`-f={{if ne .Name "main"}}{{.ImportPath}}{{end}}`, []string{"./..."})
	if slices.Contains(args, "-race") {
		compile = append(compile, "-race")
	}
	slices.Sort(compile) // flags first
	build(p, "build", compile)
	r := newReport(p, strings.Join(list("-m", nil), ""), len(list("-e", args)))
	code := stream(p, append([]string{"test", "-json"}, args...), r.line, r.status)
	r.summary(code)
	return code
}

// list is what go list prints of the packages among args; nothing if it fails, since the command
// that follows says why.
func list(flag string, args []string) []string {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-") })
	//nolint:noctx // an interrupt ends it
	out, _ := exec.Command("go", append([]string{"list", flag}, args...)...).Output()
	return strings.Fields(string(out))
}

// stream runs the go command, gives take each line that it prints, and returns the exit code.
func stream(p *printer, args []string, take func(line string), status func() string) int {
	cmd := exec.Command("go", args...) //nolint:noctx // an interrupt ends it
	out, err := cmd.StdoutPipe()
	cmd.Stderr = cmd.Stdout
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.print("progress: %v", err)
		return 1
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	p.follow(lines, take, status)
	_ = cmd.Wait() // the exit code says it
	return cmd.ProcessState.ExitCode()
}

// follow gives take each line, and prints the status when nothing was printed for a while.
func (p *printer) follow(lines <-chan string, take func(line string), status func() string) {
	for tick := time.Tick(time.Second); ; {
		select {
		case line, more := <-lines:
			if !more {
				return
			}
			take(line)
		case <-tick:
			if time.Since(p.last) >= quiet {
				p.print("%s", status())
			}
		}
	}
}
