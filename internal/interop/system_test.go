package interop

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/mcp"
)

// communicators are the words of a project file for the transports.
var communicators = map[mcp.Transport]string{mcp.Stdio: "mcp-stdio", mcp.SSE: "mcp-sse", mcp.Streamable: "mcp-http"}

// Every server as an agent of one running system, launched and at a URL, called with the program
// that users call with.
func TestServersAsAgents(t *testing.T) {
	type plugged struct {
		server
		agent, how string
	}
	var all []plugged
	for _, s := range servers() {
		id := strings.NewReplacer(" ", "-", ".",
			"").Replace(strings.ToLower(fmt.Sprintf("%s %s %s", strings.Fields(s.peer)[0], s.version, s.transport)))
		all = append(all, plugged{s, id + "-cmd", "command"})
		if s.transport != mcp.Stdio {
			all = append(all, plugged{s, id + "-url", "url"})
		}
	}
	needs(t)
	t.Parallel()
	// A dozen programs that start at once share a machine that may have two cores.
	project := []string{"project: interop", "gateway: {listen: '127.0.0.1:0'}", "connect: {timeout: 60s}", "agents:"}
	for _, p := range all {
		if !installed(p.needs) {
			continue // the part of the test below checks it
		}
		if p.how == "command" {
			argv, err := json.Marshal(p.argv(t)) // JSON is YAML
			if err != nil {
				t.Fatal(err)
			}
			project = append(project, fmt.Sprintf("  %s: {communicator: %s, command: %s}", p.agent,
				communicators[p.transport], argv))
			continue
		}
		url := start(t, nil, p.argv(t)...).url(t) + endpoint(string(p.transport))
		awaitHTTP(t, strings.TrimSuffix(url, endpoint(string(p.transport))))
		project = append(project, fmt.Sprintf("  %s: {communicator: %s, url: %q}", p.agent, communicators[p.transport],
			url))
	}
	if len(project) == 4 {
		t.Skip("none of the servers is installed")
	}
	run := start(t, nil, openmas(t), "run", projectFile(t, strings.Join(project, "\n")+"\n"), "--log-format", "text")
	url := run.url(t)
	t.Run("agents", func(t *testing.T) {
		for _, p := range all {
			t.Run(p.agent, func(t *testing.T) {
				rows.add(t, p.peer, p.version, theirServer+" (openmas run)", string(p.transport)+" "+p.how)
				needs(t, p.needs...)
				callAgent(t, url, p.agent)
			})
		}
	})
	run.stop(t)
}

// callAgent calls an agent's tools with openmas call.
func callAgent(t *testing.T, url, agent string) {
	t.Helper()
	want := map[string]any{"message": "grüße 🦊", "deep": []any{nil, 1, map[string]any{"k": "v"}}}
	in, err := json.Marshal(map[string]any{"message": want})
	if err != nil {
		t.Fatal(err)
	}
	out := start(t, nil, openmas(t), "call", agent+".echo", string(in), "--url", url).wait(t)
	var got struct {
		Echoed any `json:"echoed"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Errorf("echo printed %q: %v", out, err)
	} else if a, b := fmt.Sprint(got.Echoed), fmt.Sprint(want); a != b {
		t.Errorf("echo: %s, want %s", a, b)
	}
	if out := start(t, nil, openmas(t), "call", agent+".add", "a=2", "b=3.5", "--url", url).wait(t); !strings.Contains(
		out, "5.5") {
		t.Errorf("add printed %q", out)
	}
	failed := start(t, nil, openmas(t), "call", agent+".fail", "message=as asked", "--url", url)
	failed.finish(t)
	if code := failed.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("fail: exit code %d\n%s", code, failed.stderr())
	}
}

// A server of the first generation, with nothing configured but its command, answers soon after the
// system was started; and without a system.
func TestFirstAnswerOfAnOldServer(t *testing.T) {
	s := servers()[0]
	noted := rows.add(t, s.peer, s.version, theirServer+" (openmas run)", "stdio, first answer")
	needs(t, s.needs...)
	argv, err := json.Marshal(s.argv(t))
	if err != nil {
		t.Fatal(err)
	}
	program := openmas(t)
	began := time.Now()
	run := start(t, nil, program, "run", projectFile(t, fmt.Sprintf("project: interop\ngateway: {listen: "+
		"'127.0.0.1:0'}\nconnect: {timeout: 60s}\nagents: {old: {command: %s}}\n", argv)))
	out := start(t, nil, program, "call", "old.add", "a=1", "b=1", "--url", run.url(t)).wait(t)
	noted.result = fmt.Sprintf("ok, %d ms after openmas run", time.Since(began).Milliseconds())
	if strings.TrimSpace(out) != "2.0" {
		t.Errorf("add printed %q", out)
	}
	run.stop(t)
	for _, how := range [][]string{
		{"old.add", "--project", projectFile(t, fmt.Sprintf("project: interop\nconnect: {timeout: 60s}\nagents: "+
			"{old: {command: %s}}\n", argv))},
		{"add", "--command", strings.Join(s.argv(t), " ")},
	} {
		out := start(t, nil, append([]string{program, "call", how[0], "a=1", "b=1"}, how[1:]...)...).wait(t)
		if strings.TrimSpace(out) != "2.0" {
			t.Errorf("%v printed %q", how, out)
		}
	}
}
