package interop

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// record is the file of package testkit/recorded, to be written anew when the servers' pins change:
//
//	make real does not; go run ./internal/interop/run -run RealServersAreRecorded -record FILE does
var record = flag.String("record", "", "write what the eight real servers answer to this file")

// asked is what each server is asked beyond its lists and the calls of TestRealServers.
var asked = map[string][][2]string{
	"everything": {
		{"tools/call", `{"name":"get-annotated-message","arguments":{"messageType":"success","includeImage":true}}`},
		{"tools/call", `{"name":"get-annotated-message","arguments":{"messageType":"error"}}`},
		{"tools/call", `{"name":"get-resource-links","arguments":{"count":3}}`},
		{"tools/call", `{"name":"get-resource-reference","arguments":{"resourceType":"Text","resourceId":1}}`},
		{"tools/call", `{"name":"get-resource-reference","arguments":{"resourceType":"Blob","resourceId":2}}`},
		{"tools/call", `{"name":"get-sum","arguments":{"a":"no number"}}`},
		{"tools/call", `{"name":"gzip-file-as-resource","arguments":{"name":"a.gz","data":"data:text/plain,hello","outputType":"resource"}}`},
		{"prompts/get", `{"name":"simple-prompt"}`},
		{"prompts/get", `{"name":"args-prompt","arguments":{"city":"Bern"}}`},
		{"prompts/get", `{"name":"resource-prompt","arguments":{"resourceType":"Text","resourceId":"1"}}`},
		{"resources/read", `{"uri":"demo://resource/dynamic/text/1"}`},
		{"resources/read", `{"uri":"demo://resource/dynamic/blob/1"}`},
		{"resources/read", `{"uri":"demo://resource/static/document/features.md"}`},
		{"completion/complete", `{"ref":{"type":"ref/prompt","name":"completable-prompt"},"argument":{"name":"department","value":"S"}}`},
	},
	"filesystem": {
		{"tools/call", `{"name":"list_directory_with_sizes","arguments":{"path":"WORK"}}`},
		{"tools/call", `{"name":"directory_tree","arguments":{"path":"WORK/repository/.git/info"}}`},
		{"tools/call", `{"name":"read_text_file","arguments":{"path":"/etc/passwd"}}`},
	},
	"memory": {
		{"tools/call", `{"name":"search_nodes","arguments":{"query":"Ada"}}`},
		{"resources/read", `{"uri":"memory://knowledge-graph"}`},
	},
	"git": {
		{"tools/call", `{"name":"git_diff","arguments":{"repo_path":"WORK/repository","target":"no-such-branch"}}`},
	},
	"time": {{"tools/call", `{"name":"get_current_time","arguments":{"timezone":"Mars"}}`}},
	"fetch": {
		{"tools/call", `{"name":"fetch","arguments":{"url":"no url"}}`},
	},
	"sqlite": {
		{"tools/call", `{"name":"describe_table","arguments":{"table_name":"t"}}`},
		{"tools/call", `{"name":"append_insight","arguments":{"insight":"grüße <b> & 🦊"}}`},
		{"tools/call", `{"name":"read_query","arguments":{"query":"DROP TABLE t"}}`},
		{"resources/read", `{"uri":"memo://insights"}`},
		{"prompts/get", `{"name":"mcp-demo","arguments":{"topic":"tea"}}`},
	},
}

// The recordings are written when asked for.
func TestRealServersAreRecorded(t *testing.T) {
	if *record == "" {
		t.Skip("-record names no file")
	}
	realNeeds(t)
	work := t.TempDir()
	var out strings.Builder
	for _, s := range realServers(t, work) {
		requests := [][2]string{{"tools/list", "{}"}, {"prompts/list", "{}"}, {"resources/list", "{}"},
			{"resources/templates/list", "{}"}}
		for _, c := range s.calls {
			args, err := json.Marshal(map[string]any{"name": c.tool, "arguments": c.args})
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, [2]string{"tools/call", string(args)})
		}
		for _, more := range asked[s.name] {
			requests = append(requests, [2]string{more[0], strings.ReplaceAll(more[1], "WORK", work)})
		}
		lines := conversation(t, s, requests)
		for i, r := range requests {
			if lines[i] != "" { // it has answered with a result
				fmt.Fprintln(&out, s.name, r[0], strings.ReplaceAll(lines[i], work, "/srv/files"))
			}
		}
	}
	if err := os.WriteFile(*record, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// conversation asks a server over its stdin, and returns its results, as they came; "" for an
// error.
func conversation(t *testing.T, s realServer, requests [][2]string) (results []string) {
	t.Helper()
	argv := s.argv(folder(s.tool))
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.WaitDelay, cmd.Env = 5*time.Second, os.Environ()
	for k, v := range s.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // some do not end with their input
		_ = cmd.Wait()
	}()
	from := bufio.NewReader(stdout)
	ask := func(id int, method, params string) (result string) {
		if _, err := fmt.Fprintf(in, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`+"\n", id, method,
			params); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := from.ReadBytes('\n')
			if err != nil {
				t.Fatalf("%s: %s: %v", s.name, method, err)
			}
			var m struct {
				ID     int             `json:"id"`
				Method string          `json:"method"`
				Result json.RawMessage `json:"result"`
			}
			if json.Unmarshal(line, &m) == nil && m.Method == "" && m.ID == id {
				return string(m.Result)
			}
		}
	}
	ask(1, "initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"recorder","version":"1"}}`)
	if _, err := io.WriteString(in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	for i, r := range requests {
		results = append(results, ask(i+2, r[0], r[1]))
	}
	return results
}
