package cli

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/runtime"
)

// Two processes know each other's instances: each is one row, as its own process has it, and what
// the callers of both saw is added up.
func TestStatusOfSeveralProcesses(t *testing.T) {
	started := time.Now().Add(-time.Minute)
	instance := func(state runtime.State, process string, served int64) runtime.InstanceStatus {
		return runtime.InstanceStatus{ID: "far/0", State: state, Process: process, Served: served, StateSince: started}
	}
	here := runtime.AgentStatus{Name: "far", Calls: 3, Failures: 1, P50MS: 20, P99MS: 30,
		Instances: []runtime.InstanceStatus{instance("ready", "b", 0),
			{ID: "far/1", State: "ready", Process: "c", Host: "elsewhere"}},
		LastFailure: &runtime.Failure{At: started, Tool: "t", Code: "lost", Message: "no\nmore"}}
	there := runtime.AgentStatus{Name: "far", Calls: 4, P50MS: 40, P99MS: 25,
		Instances: []runtime.InstanceStatus{instance("restarting", "", 7)}}
	s := systemStatus{Processes: []runtime.Status{
		{Project: "p", Process: "a", PID: 11, State: "ready", Started: started, Agents: []runtime.AgentStatus{here}},
		{Project: "p", Process: "b", PID: 12, State: "ready", Started: started, Agents: []runtime.AgentStatus{there}},
	}}
	var out strings.Builder
	if err := showStatus(&out, s, 0); err != nil {
		t.Fatal(err)
	}
	want := `p: ready, process 11, up 1m
p: ready, process 12, up 1m
INSTANCE  PROCESS    STATE         SINCE  IN FLIGHT  SERVED  RESTARTS  CALLS  FAILED  P50   P99   LAST ERROR
far                  1 of 2 ready  1m     0          7       0         7      1       40ms  30ms  1m ago t: lost: no
  far/0   12         restarting    1m     0          7       0
  far/1   elsewhere  ready                0          0       0
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	// One whose process does not announce itself any more may be gone.
	s.Processes[0].Agents[0].Instances[1].SilentMS = 4200
	out.Reset()
	if err := showStatus(&out, s, 0); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "ready, silent 4s") || !strings.Contains(text, "0 of 2 ready") {
		t.Error(text)
	}
	s.Processes[0].Agents[0].Instances[1].SilentMS = 0
	// On a narrow terminal errors are below the table, and cut.
	s.Processes[0].Agents[0].LastFailure.Message = strings.Repeat("no more of it ", 20)
	s.Processes[1].Agents[0].Instances[0].LastCrash = &runtime.Crash{Instance: "far/0", At: started, NextAt: started,
		Error: strings.Repeat("out of paper ", 20)}
	out.Reset()
	if err := showStatus(&out, s, 110); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(strings.TrimRight(line, " \n")) > 110 {
			t.Errorf("too long: %s", line)
		}
	}
	text := out.String()
	words := strings.Join(strings.Fields(text), " ")
	if strings.Contains(text, "LAST ERROR") || !strings.Contains(text, "\nfar: 1m ago t: lost: no more of it") ||
		!strings.Contains(text, "…\n") || !strings.HasSuffix(words, "then restarted after 0s") {
		t.Error(text)
	}
}

// A picture fits every screen, however small, and a narrow one has what matters.
func TestPictures(t *testing.T) {
	v := &view{}
	s := systemStatus{Processes: []runtime.Status{{Project: "p", PID: 11, State: "ready",
		Started: time.Now().Add(-time.Minute), Agents: []runtime.AgentStatus{
			{Name: "calm", Calls: 3, P50MS: 20, P99MS: 30,
				Instances: []runtime.InstanceStatus{{ID: "calm/0", State: "ready"}}},
			{Name: "ill", Calls: 3, Instances: []runtime.InstanceStatus{{ID: "ill/0", State: "restarting", Restarts: 2,
				Error: "ended: " + strings.Repeat("x", 300)}}},
		}}}}
	now := time.Now()
	v.took(s, nil, now)
	s.Processes[0].Agents[0].Calls += 20
	v.took(s, nil, now.Add(2*time.Second))
	for width := 1; width < 160; width++ {
		for height := 1; height < 12; height++ {
			var out strings.Builder
			if err := v.draw(&out, width, height); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimRight(logs.StripColors(out.String()), "\r\n"), "\r\n")
			if len(lines) > height {
				t.Fatalf("%d x %d: %d lines", width, height, len(lines))
			}
			for _, l := range lines {
				if utf8.RuneCountInString(l) > width {
					t.Fatalf("%d x %d: %q", width, height, l)
				}
			}
		}
	}
	for width, want := range map[int]string{
		120: `p: ready, process 11, up 1m
2 agents, 0 in flight, 10 calls/s, 0 failed/s  █

AGENT  READY  SINCE  IN FLIGHT  CALLS/S  FAILED/S  CALLS  FAILED  P50   P99   RESTARTS  LAST ERROR
ill    0/1           0          0        0         3      0       <1ms  <1ms  2         ended: xxxxxxxxxxxxxxxxxxxxxxxx…
calm   1/1           0          10       0         23     0       20ms  30ms  0
`,
		60: `p: ready, process 11, up 1m
2 agents, 0 in flight, 10 calls/s, 0 failed/s  █

AGENT  READY  CALLS/S  LAST ERROR
ill    0/1    0        ended: xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
calm   1/1    10
`} {
		var out strings.Builder
		if err := v.draw(&out, width, 30); err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(logs.StripColors(out.String()), "\r\n", "\n")
		if !strings.HasPrefix(got, want) {
			t.Errorf("%d wide:\n%s\nwant:\n%s", width, got, want)
		}
	}
}
