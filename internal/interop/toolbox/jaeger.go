package toolbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// JaegerVersion is built from its Go module, for machines without containers. The module has no
// assets of the web pages: what it has stored is read over its query API.
const JaegerVersion = "v1.76.0"

// The module that builds Jaeger, and the sums of what it is built from; those of its own
// dependencies come with it.
const (
	jaegerMod = "module jaeger\n\ngo 1.25.0\n\nrequire github.com/jaegertracing/jaeger " + JaegerVersion +
		"\n\nreplace github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0\n"
	jaegerSum = "github.com/jaegertracing/jaeger " + JaegerVersion +
		" h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g=\ngithub.com/jaegertracing/jaeger " + JaegerVersion +
		"/go.mod h1:hqcuJlLDTv7G2x5eFd/BhwcPdLxj3N+90aKhIzdOcKo=\n"
	jaegerPackage = "github.com/jaegertracing/jaeger/cmd/all-in-one"
)

// Jaeger is a receiver of traces. It is no part of [Tools]: it is built in some minutes.
var Jaeger = &Tool{name: "jaeger " + JaegerVersion, pins: [][]byte{[]byte(jaegerMod), []byte(jaegerSum)},
	install: buildJaeger}

// Traced lists what the test with Jaeger needs.
func Traced() []*Tool { return []*Tool{Jaeger, PythonTraced} }

func buildJaeger(ctx context.Context, dir string, note note) error {
	g := goIn{ctx, dir}
	if err := g.write("go.mod", jaegerMod); err != nil {
		return err
	}
	if err := g.write("go.sum", jaegerSum); err != nil {
		return err
	}
	note("getting its sources ...")
	said, err := g.output("mod", "download", "-json", "github.com/jaegertracing/jaeger")
	if err != nil {
		return err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(said, &module); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(module.Dir, "go.sum"))
	if err != nil {
		return err
	}
	if err := g.write("go.sum", jaegerSum+string(sums)); err != nil {
		return err
	}
	if said, err = g.output("list", "-deps", jaegerPackage); err != nil {
		return err
	}
	all := bytes.Count(said, []byte("\n"))
	note(fmt.Sprintf("building it once, from %d packages: three to thirty minutes ...", all))
	return g.build(note, all, "-trimpath", "-ldflags=-s -w", "-o", JaegerIn(dir), jaegerPackage)
}

// JaegerIn is the program in the folder of [Jaeger].
func JaegerIn(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "jaeger.exe")
	}
	return filepath.Join(dir, "jaeger")
}

// JaegerFlags make Jaeger listen on loopback only: for OTLP over HTTP and over gRPC, and for
// queries over HTTP. Its other ports are any free ones.
func JaegerFlags(otlpHTTP, otlpGRPC, query int) []string {
	out := []string{"--log-level=error", "--memory.max-traces=10000"}
	for flag, port := range map[string]int{"collector.otlp.http": otlpHTTP, "collector.otlp.grpc": otlpGRPC,
		"query.http-server": query, "query.grpc-server": 0, "collector.grpc-server": 0, "collector.http-server": 0,
		"admin.http": 0} {
		out = append(out, fmt.Sprintf("--%s.host-port=127.0.0.1:%d", flag, port))
	}
	return out
}

// goIn runs the go command in a module.
type goIn struct {
	ctx context.Context
	dir string
}

func (g goIn) write(name, content string) error {
	return os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o644)
}

func (g goIn) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(g.ctx, "go", args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	return cmd
}

func (g goIn) output(args ...string) ([]byte, error) {
	cmd := g.command(args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return out, nil
}

// build runs go build, and tells from time to time how many of all packages it has compiled. What
// is compiled already is not counted.
func (g goIn) build(note note, all int, args ...string) error {
	cmd := g.command(append([]string{"build", "-v"}, args...)...)
	pr, pw := io.Pipe()
	cmd.Stdout, cmd.Stderr = pw, pw
	done := make(chan error, 1)
	go func() { // ends with the command, whose end closes what is read below
		err := cmd.Run()
		_ = pw.Close() // never fails
		done <- err
	}()
	last := time.Now()
	said := readBuild(pr, func(compiled int) {
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			note(fmt.Sprintf("%d of at most %d packages are compiled", compiled, all))
		}
	})
	if err := <-done; err != nil {
		return fmt.Errorf("go build: %w\n%s", err, said)
	}
	return nil
}

// readBuild reads what go build -v prints, to its end and however long a line is: go build would
// wait for its reader. It calls compiled with the number of packages so far, and returns all lines
// that are no package's.
func readBuild(r io.Reader, compiled func(n int)) (said string) {
	var other strings.Builder
	lines := bufio.NewReader(r)
	for n := 0; ; {
		line, err := lines.ReadString('\n')
		switch {
		case strings.ContainsAny(line, " \t"):
			other.WriteString(line)
		case line != "":
			n++
			compiled(n)
		}
		if err != nil {
			return other.String()
		}
	}
}
