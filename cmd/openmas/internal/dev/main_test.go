//go:build unix

package dev

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
	"github.com/openmas/openmas/cmd/openmas/internal/scaffold"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime"
)

// mainVar in the environment makes the test binary an openmas command.
const mainVar = "OPENMAS_TEST_MAIN"

// foreignVar in the environment makes the test binary a foreign agent, which tells what is there.
const foreignVar = "OPENMAS_TEST_FOREIGN"

// tell is the main of a foreign agent, which tells a word.
func tell(word string) (err error) {
	tool := agent.NewTool("tell", "Tell a word.", func(context.Context, struct{}) (string, error) { return word, nil })
	h, err := agent.NewHost(agent.Env{Name: "teller"}, agent.Capabilities{Tools: []agent.Tool{tool}})
	if err == nil {
		err = server.ServeStdio(context.Background(), h, os.Stdin, os.Stdout, server.Options{}, server.Identity{})
	}
	return err
}

func TestMain(m *testing.M) {
	if word := os.Getenv(foreignVar); word != "" {
		if err := tell(word); err != nil {
			panic(err)
		}
		return
	}
	if os.Getenv(mainVar) != "" || os.Getenv(runtime.ChildVar) != "" {
		os.Exit(cli.Main(cli.Program{Become: gobuild.Become,
			Commands: []func(*cli.App) *cobra.Command{Command, scaffold.Command}}))
	}
	if testkit.OnlyProcesses() {
		return
	}
	os.Exit(m.Run())
}

// A bench is a folder in which openmas runs.
type bench struct {
	*testkit.Bench
	t *testing.T
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{testkit.NewBench(t), t}
	b.Env = append(b.Env, mainVar+"=1", "NO_COLOR=1")
	return b
}

func (b *bench) command(args ...string) *exec.Cmd {
	b.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(b.t.Context()), exe, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = b.Dir, b.Env, testkit.Hang
	return cmd
}

// run runs openmas to its end.
func (b *bench) run(args ...string) (out string) {
	b.t.Helper()
	cmd := b.command(args...)
	var errOut strings.Builder
	cmd.Stderr = &errOut
	text, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("openmas %q: %v\n%s", args, err, &errOut)
	}
	return string(text)
}

// makeDemo makes the project that openmas init makes, on a port of its own.
func (b *bench) makeDemo() {
	b.t.Helper()
	root, err := filepath.Abs("../../../..")
	if err != nil {
		b.t.Fatal(err)
	}
	b.run("init", "demo", "--replace", root)
	b.edit("demo/openmas.yaml", "127.0.0.1:8765", "127.0.0.1:0")
}

func (b *bench) edit(name, old, by string) {
	b.t.Helper()
	b.Edit(b.t, name, old, by)
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	b.Write(b.t, name, text)
}

// running is openmas dev as it runs.
type running struct {
	*bench
	cmd  *exec.Cmd
	err  testkit.Buffer
	seen int // how much of it was awaited
}

// dev starts openmas dev, and waits until it is up. It is interrupted at the end of the test, and
// leaves nothing behind.
func (b *bench) dev(args ...string) *running {
	b.t.Helper()
	r := &running{bench: b, cmd: b.command(append([]string{"dev"}, args...)...)}
	r.cmd.Stdout, r.cmd.Stderr = io.Discard, &r.err
	if err := r.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	b.t.Cleanup(func() {
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			b.t.Error(err)
		}
		if err := testkit.Receive(b.t, ended); err != nil || b.t.Failed() {
			b.t.Errorf("it ended with %v\n%s", err, &r.err)
		}
		left, err := filepath.Glob(filepath.Join(filepath.Dir(b.Dir), "*", "*", "*-dev-*"))
		if err != nil || len(left) > 0 {
			b.t.Errorf("it leaves %q, %v", left, err)
		}
	})
	return r
}

// patience is how long a build on a busy machine may take.
const patience = 2 * time.Minute

// await waits for the next of a text on standard error, and returns what is before it.
func (r *running) await(text string) (before string) {
	r.t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		if before, _, ok := strings.Cut(r.err.String()[r.seen:], text); ok {
			r.seen += len(before) + len(text)
			return before
		}
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("no %q in\n%s", text, r.err.String()[r.seen:])
		}
	}
}
