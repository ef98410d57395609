package crashes

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestReports(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if all, err := Read(state); len(all) != 0 || err != nil {
		t.Errorf("without a folder: %v, %v", all, err)
	}
	k := &Keeper{State: state, Process: "p1"}
	code := 3
	huge := Report{Agent: "a", Instance: "a/0", What: Process, Error: strings.Repeat("ä", 50_000), ExitCode: &code,
		Stack: strings.Repeat("\x01", 100_000), InFlight: 1000, Calls: make([]Call, 1000),
		LastLines: make([]string, 100)}
	for n := range huge.LastLines {
		huge.LastLines[n] = strings.Repeat("\u2028", 10_000)
	}
	if _, err := k.Add(huge); err != nil {
		t.Fatal(err)
	}
	all, err := Read(state)
	if err != nil || len(all) != 1 || all[0].InFlight != 1000 || *all[0].ExitCode != 3 || all[0].Process != "p1" ||
		all[0].PID != os.Getpid() || all[0].At.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	for n := range 2 * MaxReports {
		if _, err := k.Add(Report{Agent: "a", Instance: "a/0", What: Runner, Error: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := (&Keeper{State: state, Process: "p2"}).Add(Report{Agent: "b", Instance: "b/0"}); err != nil {
		t.Fatal(err)
	}
	if all, err = Read(state); err != nil || len(all) != MaxReports+1 || all[0].Error != fmt.Sprint(MaxReports) ||
		all[MaxReports].Agent != "b" {
		t.Errorf("%d reports, %v: %+v", len(all), err, all)
	}
	paths, err := files(filepath.Join(state, Folder), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range paths {
		info, err := os.Stat(f.path)
		if err != nil || info.Size() > MaxBytes || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s: %v, %v", f.path, info, err)
		}
	}
}

// A file that was not written to its end, or is no report, costs itself only.
func TestReadWhatIsBroken(t *testing.T) {
	state := t.TempDir()
	k := &Keeper{State: state, Process: "p"}
	if _, err := k.Add(Report{Agent: "a", Instance: "a/0", Error: "x"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.00000000000000000001.p.json", "notes.txt", "a.b.c.json"} {
		if err := os.WriteFile(filepath.Join(state, Folder, name), []byte(`{"agent": "a"`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := Read(state); err != nil || len(all) != 1 || all[0].Error != "x" {
		t.Errorf("%+v, %v", all, err)
	}
}

// A crash that nothing tells from the last one is counted, and does not push out others.
func TestAlike(t *testing.T) {
	state := t.TempDir()
	k := &Keeper{State: state, Process: "p"}
	add := func(r Report) Report {
		t.Helper()
		r.Agent, r.Instance, r.What = "a", "a/0", Process
		r, err := k.Add(r)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := add(Report{Error: "x (pid 1) exited with code 1", At: time.Now().Add(-time.Hour)})
	for n := range 50 {
		add(Report{Error: fmt.Sprintf("x (pid %d) exited with code 1", n)})
	}
	last := k.Last("a/0")
	if last == nil || last.Times != 51 || !last.First.Equal(first.At) || !last.At.After(first.At) {
		t.Errorf("%+v", last)
	}
	add(Report{Error: "x (pid 1) exited with code 2"})
	add(Report{Error: "x (pid 1) exited with code 2", InFlight: 1})
	add(Report{Error: "x (pid 1) exited with code 2"})
	all, err := Read(state)
	if err != nil || len(all) != 4 || all[0].Times != 51 || all[3].Times != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if k.Last("b/0") != nil {
		t.Error("a report of another instance")
	}
}
