package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const project = "examples/09-cluster/openmas.yaml"

// play is what you would do in three terminals.
func play() int {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := cluster(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 1
	}
	return 0
}

func cluster(ctx context.Context, out io.Writer) error {
	var workers []*process
	for n, what := range []string{"the worker, and the broker", "the worker"} {
		w, err := launch(ctx, "--agents", "worker")
		if err != nil {
			return err
		}
		defer w.end()
		if err := w.ready(); err != nil {
			return err
		}
		workers = append(workers, w)
		fmt.Fprintf(out, "process %d hosts %s\n", n+1, what)
	}
	foreman, err := launch(ctx, "--agents", "foreman", "--once")
	if err != nil {
		return err
	}
	defer foreman.end()
	fmt.Fprintln(out, "process 3 hosts the foreman")
	for killed := false; foreman.out.Scan(); {
		fmt.Fprintln(out, foreman.out.Text())
		if !killed { // after the first quarter
			killed = true
			<-time.After(100 * time.Millisecond) // so that calls of the second one are in flight
			if err := workers[1].cmd.Process.Kill(); err != nil {
				return fmt.Errorf("kill process 2: %w", err)
			}
			fmt.Fprintln(out, "process 2 is killed")
		}
	}
	if err := foreman.out.Err(); err != nil {
		return err
	}
	<-foreman.logged
	if err := foreman.cmd.Wait(); err != nil {
		return fmt.Errorf("process 3: %w", err)
	}
	return nil
}

// A process is one of the three: this program once more, with arguments.
type process struct {
	cmd *exec.Cmd
	out *bufio.Scanner
	// up is closed when the process is ready, logged when its log has ended.
	up, logged chan struct{}
}

func launch(ctx context.Context, args ...string) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, append([]string{"run", project}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, out: bufio.NewScanner(stdout), up: make(chan struct{}), logged: make(chan struct{})}
	go p.follow(stderr)
	return p, nil
}

// follow shows the log of a process, and looks for the line that says that it is up.
func (p *process) follow(log io.Reader) {
	defer close(p.logged)
	up := false
	for lines := bufio.NewScanner(log); lines.Scan(); {
		fmt.Fprintln(os.Stderr, lines.Text())
		if !up && strings.Contains(lines.Text(), "msg=ready") {
			up = true
			close(p.up)
		}
	}
}

func (p *process) ready() error {
	select {
	case <-p.up:
		return nil
	case <-p.logged:
		return errors.New("a process has ended before it was ready; its log is above")
	}
}

// end stops a process, in order where the system can.
func (p *process) end() {
	if p.cmd.Process.Signal(os.Interrupt) != nil { // it has ended, or this is Windows
		_ = p.cmd.Process.Kill()
	}
	<-p.logged
	_ = p.cmd.Wait() // it was told to end, or killed
}
