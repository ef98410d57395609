//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a process holds.
type usage struct {
	goroutines, files int
	heap              uint64
	rss               int // MiB, now
}

// usage of the system's own process.
func (s *system) usage(ctx context.Context) (usage, error) {
	var n numbers
	if err := s.ask(ctx, "/numbers", &n); err != nil {
		return usage{}, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid()))
	if err != nil {
		return usage{}, err
	}
	return usage{n.Goroutines, len(files), n.Heap, memory(s.pid(), "VmRSS:")}, nil
}

// memory reads a line of the process's status, in MiB: 0 when it is gone.
func memory(pid int, line string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), line)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	return kb >> 10
}

// settle is how long what is over may take to be given back.
// Idle connections to servers are kept for 30 s.
const settle = 40 * time.Second

// spare are goroutines and descriptors that come and go by themselves: idle connections between the
// process and its own endpoints, timers.
const spare = 4

// compare waits until the system holds no more than it did before, and notes the difference.
func (t *trial) compare(ctx context.Context, s *system, before usage) {
	var now usage
	var err error
	eventually(ctx, settle, func() bool {
		if now, err = s.usage(ctx); err != nil {
			return false
		}
		return now.goroutines <= before.goroutines+spare && now.files <= before.files+spare
	})
	if err != nil {
		t.broken("the system does not say what it holds: %v", err)
		return
	}
	t.Goroutines, t.Files = now.goroutines-before.goroutines, now.files-before.files
	if t.Goroutines > spare || t.Files > spare {
		t.broken("%d goroutines and %d descriptors more than before", t.Goroutines, t.Files)
	}
	t.RSS = max(t.RSS, memory(s.pid(), "VmHWM:"))
}

// A proc is a process by its number and its start, which together are never another's.
type proc struct {
	pid     int
	started string
	name    string
}

// stat reads what the system says of a process. A zombie is there too.
func stat(pid int) (p proc, parent int, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, 0, false
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return p, 0, false
	}
	f := strings.Fields(string(text[end+1:]))
	if len(f) < 20 {
		return p, 0, false
	}
	parent, err = strconv.Atoi(f[1])
	return proc{pid, f[19], string(text[open+1 : end])}, parent, err == nil
}

// descendants are the processes below one, at any depth.
func descendants(root int) (out []proc) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	below := map[int][]proc{}
	for _, e := range all {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, parent, ok := stat(pid); ok {
				below[parent] = append(below[parent], p)
			}
		}
	}
	for queue := below[root]; len(queue) > 0; queue = queue[1:] {
		out = append(out, queue[0])
		queue = append(queue, below[queue[0].pid]...)
	}
	return out
}

// alive reports whether the process still exists, as a zombie too.
func (p proc) alive() bool {
	now, _, ok := stat(p.pid)
	return ok && now.started == p.started
}

// zombie reports whether the process runs no more: it is gone, or waits for its parent.
func zombie(p proc) bool {
	if !p.alive() {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return true
	}
	end := bytes.LastIndexByte(text, ')')
	return end > 0 && bytes.HasPrefix(text[end:], []byte(") Z"))
}

// nobodyLeft wants all of the processes to have ended within a second. When init reaps those that
// have lost their parents is its own affair.
func (t *trial) nobodyLeft(ctx context.Context, below []proc) {
	var left []string
	took, ok := eventually(ctx, time.Duration(float64(time.Second)*t.slack), func() bool {
		left = nil
		for _, p := range below {
			if !zombie(p) {
				left = append(left, fmt.Sprintf("%s (%d)", p.name, p.pid))
			}
		}
		return len(left) == 0
	})
	if !ok {
		t.broken("of %d processes %d are left after %v: %s", len(below), len(left), took.Round(time.Millisecond),
			strings.Join(left, ", "))
		for _, p := range below {
			if p.alive() {
				_ = syscall.Kill(p.pid, syscall.SIGKILL) // ours: by its number and start
			}
		}
	}
	t.Detected = took
}
