//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A process is a program that a row started, in a group of its own.
type process struct {
	cmd   *exec.Cmd
	log   string // the file with its standard error
	lines chan string
	done  chan struct{}
}

// launch starts the program crew in the trial's folder. What it prints is in NAME.log there.
func (t *trial) launch(name string, env []string, args ...string) (*process, error) {
	return t.launchProgram(name, env, t.crew, args...)
}

func (t *trial) launchProgram(name string, env []string, program string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(t.dir, name+".log"), lines: make(chan string, 256), done: make(chan struct{})}
	p.cmd = exec.Command(program, args...) //nolint:noctx // the trial ends it
	p.cmd.Dir = t.dir
	p.cmd.Env = append(os.Environ(), append([]string{"XDG_RUNTIME_DIR=" + t.dir, "GOTRACEBACK=all"}, env...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 4<<20)
		for scan.Scan() {
			fmt.Fprintln(log, scan.Text())
			select {
			case p.lines <- scan.Text():
			default: // nobody waits for a line any more
			}
		}
		close(p.lines)
		_ = p.cmd.Wait() // its state says how it ended
		log.Close()
	}()
	t.after(func() { p.kill() })
	return p, nil
}

// await waits for a line of the program that begins so, and returns the rest of it.
func (p *process) await(ctx context.Context, prefix string) (string, error) {
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				<-p.done
				return "", fmt.Errorf("it ended (%v) before it printed %s: %s", p.cmd.ProcessState, prefix, p.said())
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest, nil
			}
		case <-limit.C:
			return "", fmt.Errorf("no %s within a minute: %s", prefix, p.said())
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// said is the end of what the program printed.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-600):])
}

// terminate sends SIGTERM to the process alone. That it is gone is no error.
func (p *process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// kill ends the process with its group, stopped or not. It may have ended.
func (p *process) kill() {
	select {
	case <-p.done: // its number may be another's by now
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // ESRCH: it is gone
		<-p.done
	}
}

// end waits for the end of the process, and returns how long that took and its exit code.
func (p *process) end(ctx context.Context, limit time.Duration) (time.Duration, int, error) {
	began := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return time.Since(began), p.cmd.ProcessState.ExitCode(), nil
	case <-timer.C:
		return limit, -1, fmt.Errorf("it runs %v after it was asked to end", limit)
	case <-ctx.Done():
		return time.Since(began), -1, ctx.Err()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// A system is a process that runs a project.
type system struct {
	*process
	file  string // of the project
	url   string
	probe string
}

// start runs a project and waits until it is ready. In the text, LEDGER and CREW stand for their
// paths.
func (t *trial) start(ctx context.Context, name, yaml string, args ...string) (*system, error) {
	s, err := t.begin(name, yaml, args...)
	if err != nil {
		return nil, err
	}
	s.url, err = s.await(ctx, "SSE_SERVER_URL=")
	return s, err
}

// begin is start without the wait.
func (t *trial) begin(name, yaml string, args ...string) (*system, error) {
	s, err := t.prepare(name, yaml)
	if err != nil {
		return nil, err
	}
	s.process, err = t.launch(name, []string{"CHAOS_PROBE=" + s.probe}, append([]string{"run", s.file}, args...)...)
	return s, err
}

// prepare writes the project file of a system that does not run yet.
func (t *trial) prepare(name, yaml string) (*system, error) {
	s := &system{file: filepath.Join(t.dir, name+".yaml"), probe: filepath.Join(t.dir, fmt.Sprintf("p%d", len(t.undo)))}
	text := strings.NewReplacer("LEDGER", t.ledger, "CREW", t.crew).Replace(yaml)
	return s, os.WriteFile(s.file, []byte(text), 0o600)
}

// numbers are what a process knows of itself.
type numbers struct {
	Goroutines int    `json:"goroutines"`
	Heap       uint64 `json:"heap"`
}

// ask gets something from the system's probe.
func (s *system) ask(ctx context.Context, path string, into any) error {
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.probe)
		}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://probe"+path, http.NoBody)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}
