package crashes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openmas/openmas/internal/statedir"
)

const (
	// Folder is the name of the folder with the reports. A file is named AGENT.TIME.PROCESS.json.
	Folder = "crashes"
	// MaxReports is how many are kept of an agent, over all processes of the project.
	MaxReports = 20
	suffix     = ".json"
	// maxLast bounds the instances whose last report is at hand.
	maxLast = 4096
)

// A Keeper keeps the reports of one process. It is safe for concurrent use. The zero Keeper with a
// Process keeps the last report of each instance, and no files.
type Keeper struct {
	// State is the state folder; empty: there are no files.
	State string
	// Process is the name of the process, which no other one has.
	Process string

	mu   sync.Mutex
	last map[string]kept
}

type kept struct {
	Report
	file string
}

// Add keeps a report, and returns it as it is kept: one that nothing tells from the last one of its
// instance takes its place. The error says why it is in no file.
func (k *Keeper) Add(r Report) (Report, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.Process, r.PID = k.Process, os.Getpid()
	if r.At.IsZero() {
		r.At = time.Now()
	}
	r.Times, r.First = 1, r.At
	before := k.last[r.Instance]
	again := before.Times > 0 && r.alike(before.Report)
	if again {
		r.Times, r.First = before.Times+1, before.First
	}
	now := kept{Report: r.bounded()}
	var err error
	if k.State != "" {
		if now.file, err = k.write(now.Report); err == nil && again && before.file != "" {
			err = os.Remove(before.file)
			if errors.Is(err, os.ErrNotExist) { // it was swept
				err = nil
			}
		}
	}
	if k.last == nil {
		k.last = map[string]kept{}
	}
	if len(k.last) >= maxLast {
		clear(k.last)
	}
	k.last[r.Instance] = now
	return now.Report, err
}

// Last is the last report of an instance; nil: there is none.
func (k *Keeper) Last(instance string) *Report {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now, ok := k.last[instance]; ok {
		return &now.Report
	}
	return nil
}

// write writes a report to a file of its own, and removes the oldest ones of its agent.
func (k *Keeper) write(r Report) (string, error) {
	text, err := r.encode()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(k.State, Folder)
	if err = statedir.Make(k.State); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("make the folder: %w", err)
	}
	if all, err := files(dir, r.Agent); err == nil && len(all) >= MaxReports {
		for _, f := range all[:len(all)-MaxReports+1] {
			_ = os.Remove(f.path) // what cannot be removed is removed the next time
		}
	}
	name := filepath.Join(dir, fmt.Sprintf("%s.%020d.%s%s", r.Agent, r.At.UnixNano(), k.Process, suffix))
	for n := 1; ; n++ { // two at the same moment
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) && n < MaxReports {
			r.At = r.At.Add(1)
			name = filepath.Join(dir, fmt.Sprintf("%s.%020d.%s%s", r.Agent, r.At.UnixNano(), k.Process, suffix))
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.Write(text)
		return name, errors.Join(err, f.Close())
	}
}

type file struct {
	path, agent string
	at          int64
}

// files are those of an agent, or of all when name is empty, the oldest first.
func files(dir, name string) (all []file, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		parts := strings.Split(strings.TrimSuffix(e.Name(), suffix), ".")
		if len(parts) != 3 || !strings.HasSuffix(e.Name(), suffix) || name != "" && parts[0] != name ||
			!e.Type().IsRegular() {
			continue
		}
		if at, err := strconv.ParseInt(parts[1], 10, 64); err == nil {
			all = append(all, file{filepath.Join(dir, e.Name()), parts[0], at})
		}
	}
	slices.SortStableFunc(all, func(a, b file) int { return int(min(max(a.at-b.at, -1), 1)) })
	return all, nil
}

// Read returns the reports of all processes, living and dead, the oldest first. state is the state
// folder. A file that was not written to its end is left out.
func Read(state string) ([]Report, error) {
	all, err := files(filepath.Join(state, Folder), "")
	if err != nil {
		return nil, err
	}
	reports := make([]Report, 0, len(all))
	for _, f := range all {
		text, err := read(f.path)
		if errors.Is(err, os.ErrNotExist) { // it was swept meanwhile
			continue
		}
		if err != nil {
			return reports, err
		}
		var r Report
		if json.Unmarshal(text, &r) == nil && r.Agent == f.agent {
			reports = append(reports, r)
		}
	}
	return reports, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was read
	return io.ReadAll(io.LimitReader(f, MaxBytes))
}
