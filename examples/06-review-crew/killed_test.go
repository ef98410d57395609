//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// A child that is killed in the middle of a review costs nothing but time: the report is whole, and
// the child is back.
func TestKilledChild(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	for i := range 3 * batch {
		files[fmt.Sprintf("f%03d.go", i)] = strings.Replace(tangled, "Price", fmt.Sprintf("Price%d", i), 2)
	}
	write(t, root, files)
	p := start(t, root, reached("complexity", project.OverStdio)...)
	url := p.err.Await(t, "SSE_SERVER_URL=")
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	s, err := client.Connect(ctx, client.Target{Transport: mcp.Streamable, URL: url + "/mcp"}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	status := func(name string) runtime.AgentStatus {
		var st runtime.Status
		res, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "openmas_status", Attempt: 1})
		if err == nil {
			err = res.Decode(&st)
		}
		if err != nil {
			t.Fatalf("status: %v\n%s", err, &p.err)
		}
		for _, a := range st.Agents {
			if a.Name == name {
				return a
			}
		}
		t.Fatalf("no %s in the status", name)
		return runtime.AgentStatus{}
	}
	testkit.Eventually(t, "the first review is done", func() bool {
		return status("editor").Runner == runtime.StateDone
	})
	want := p.report(t)
	if !strings.Contains(want, "120 functions") {
		t.Fatalf("the first review:\n%s", want)
	}
	// A stopped child keeps the call that it is given: so the kill is in the middle of one.
	victim := status("complexity").Instances[0]
	if err := syscall.Kill(victim.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(p.state, "agents", "editor", "review.md")); err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(Tree{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "editor_review", Input: input, Attempt: 1})
		done <- err
	}()
	testkit.Eventually(t, "the child has a call", func() bool { return status("complexity").Instances[0].InFlight > 0 })
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatalf("the review: %v\n%s", err, &p.err)
	}
	if got := p.report(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	testkit.Eventually(t, "the child is back", func() bool {
		i := status("complexity").Instances[0]
		return i.State == runtime.StateReady && i.PID != victim.PID && i.PID != 0
	})
	if st := status("complexity"); st.Retries == 0 || st.Instances[0].Restarts != 1 || st.Instances[1].Restarts != 0 {
		t.Errorf("%+v", st)
	}
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != 0 {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
}
