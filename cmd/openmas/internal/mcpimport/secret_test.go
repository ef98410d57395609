package mcpimport

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// What stands between << and >> is secret, and must not go over.
func TestSecretsStayBehind(t *testing.T) {
	args := func(list ...string) map[string]any { return map[string]any{"command": "srv", "args": list} }
	env := func(name, value string) map[string]any {
		return map[string]any{"command": "srv", "env": map[string]string{name: value}}
	}
	header := func(name, value string) map[string]any {
		return map[string]any{"url": "https://h.example/mcp", "headers": map[string]string{name: value}}
	}
	for i, server := range []map[string]any{
		args("--header", "Authorization: Bearer <<lf_live_0123456789abcdef0123>>"),
		args("--header", "Authorization:Bearer <<00112233445566778899aabbccddeeff>>"),
		args("-H", "X-Custom: <<s3cr3t-value>>"),
		args("--header=X-API-Key: <<abcdef0123456789>>"),
		args("X-API-Key: <<abc123>>"),
		args("-e", "GITHUB_PERSONAL_ACCESS_TOKEN=<<ghp_aaaaaaaaaaaaaaaaaaaa>>"),
		args("--env", "OPENAI_KEY=<<abc>>"),
		args("https://mcp.example/mcp/?tavilyApiKey=<<tvly-aaaaaaaaaaa>>"),
		args("https://mcp.example/mcp?profile=x&api_key=<<abc>>&v=2"),
		args("postgresql://<<bob>>:<<hunter2>>@localhost:5432/db"),
		args("--database-url=mysql://<<root>>:<<pw>>@db/x"),
		args("redis://:<<pw12>>@cache:6379"),
		args("https://<<ghs_0000000000000000>>@github.example/x.git"),
		args("https://hooks.example/services/T00/<<B0123456789ABCDEF01>>/<<aBcD1234eFgH5678iJkL>>"),
		args("https://mcp.example/api/<<0b51c5a0-7f9c-4d3c-9d0e-0f4a3f1b2c3d>>/sse"),
		args("--config", `{"exaApiKey":"<<01234567-89ab>>","n":1,"nested":{"list":["<<ghp_bbbbbbbbbbbbbbbbbbbb>>"]}}`),
		args("--config", `{"password": <<12345678>>}`),
		args("-k", "<<abcdefabcdef0123456789>>"),
		args("-p", "<<hunter2>>"),
		args("-u", "<<bob>>:<<pw>>"),
		args("--password", "<<correct horse>>"),
		args("-c", "export X_TOKEN=<<tt55uu>> && srv --password <<pp44ww>> --port 80"),
		args("-c", "TOKEN='<<ab 12>>' PASSWORD=\"<<q>>\" KEY=$KEY srv --key $KEY"),
		args("-lc", "API_KEY=<<abc>> npx srv"),
		args("--token:<<xyz>>"),
		{"command": "srv", "env": []string{"API_KEY=<<x=y>>"}},
		{"command": "sh -c 'API_KEY=<<abc>> srv'"},
		{"url": "https://h.example/mcp", "headers": []string{"Authorization: Bearer <<abc:d>>"}},
		args("https://h.example/x?user=bob&sig=<<Sg88zz>>"),
		args("--clientSecret", "<<x>>"),
		args("--pat", "<<x1>>"),
		args("<<sk-abcdefghijklmnop>>", "<<ghp_abcdefghijklmnopqrst>>"),
		args("<<0123456789abcdef0123456789abcdef>>"),
		args("run", "<<eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc>>"),
		args("<<wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY>>"),
		args("<<123456789:AAF0aBcDeFgHiJkLmNoPqRsTuVwXyZ012345>>"),
		args("--dsn", "<<Server=x;Password=pw;>>"),
		args("Server=db;User Id=sa;Password=<<pw>>;Encrypt=true"),
		env("OPENAPI_MCP_HEADERS", `{"Authorization": "Bearer <<ntn_0000000000>>", "Notion-Version": "2022-06-28"}`),
		env("API_TOKEN", "<<x>>"),
		env("MYAPIKEY", "<<x>>"),
		env("dbPassword", "<<x>>"),
		env("DATABASE_URL", "postgres://<<u>>:<<p>>@h/db?sslmode=off"),
		env("WHATEVER", "<<xoxb-123456-abcdef>>"),
		env("SERVICE_KEY", "<<-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY----->>"),
		env("COMMENT", "<<-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY----->>"),
		env("COOKIE", "<<session=abc>>"),
		env("HDRS", "Cookie: <<session=abcdef>>"),
		env("SOMETHING", "bearer <<abcdef>>"),
		header("Authorization", "Basic <<dTpw>>"),
		header("Authorization", "Bearer <<abc>>"),
		header("authorization", "<<raw-value>>"),
		header("X-Api-Key", "<<k1>>"),
		header("Cookie", "<<session=abc>>"),
		header("X-Workspace", "<<acme-workspace>>"),
		header("Proxy-Authorization", "Basic <<abcd>>"),
		{"url": "https://<<bob>>:<<pw1>>@h.example/mcp"},
		{"url": "https://<<tokentoken>>@h.example/mcp"},
		{"url": "https://h.example/mcp?key=<<abc>>#access_token=<<def>>"},
		{"url": "https://h.example/s/<<NzA0YjU2ZTItMTIzNC00YmQ5>>/mcp"},
		{"command": "srv", "oauth": map[string]string{"clientSecret": "<<abc>>"}, "auth": "<<xyz>>",
			"extra": "<<sk-12345678901>>"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			text, err := json.Marshal(map[string]any{"mcpServers": map[string]any{"one": server}})
			if err != nil {
				t.Fatal(err)
			}
			marked := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))
			clear := strings.NewReplacer("<<", "", ">>", "").Replace(marked)
			out, notes := imported(t, clear, Options{})
			for part := range strings.SplitSeq(marked, "<<") {
				secret, _, ok := strings.Cut(part, ">>")
				// A short one may be a part of other words.
				if ok && (strings.Contains(out, secret) && len(secret) > 4 ||
					regexp.MustCompile(`[^a-z]`+regexp.QuoteMeta(secret)+`[^a-z]`).MatchString(
						variables.ReplaceAllString(out, ""))) {
					t.Errorf("%q went over:\n%s\n%s", secret, out, notes)
				}
				if ok && len(secret) > 5 && strings.Contains(notes, secret) {
					t.Errorf("%q is in a note: %s", secret, notes)
				}
			}
			if strings.Contains(marked, "#") && !strings.Contains(out, "#access_token=${env:ONE_ACCESS_TOKEN}") {
				t.Errorf("more than the secret is gone: %s", out)
			}
			if kept, _ := imported(t, clear, Options{KeepSecrets: true}); strings.Contains(kept, "${env:") {
				t.Errorf("not kept:\n%s", kept)
			}
		})
	}
}

// What is no secret stays as it is.
func TestWhatIsNoSecret(t *testing.T) {
	for _, arg := range []string{"@modelcontextprotocol/server-postgres", "mcp-server-git==2025.8.14", "--port=3000",
		"stdio",
		"--transport", "--auth-type=oauth", "--api-key-file=/run/key", "https://mcp.example.com/v1/mcp?profile=small",
		"ghcr.io/github/github-mcp-server:v0.14.2", "/home/me/Projects/Some Folder/index2.js", "C:\\Users\\me\\x64\\srv.exe",
		"git+https://github.com/oraios/serena", "{\"level\":\"info\",\"n\":12}", "sqlite:///data/mcp_server_x86_64.db",
		"modelContextProtocolServer", "--keyboard-layout=de", "name=value", "127.0.0.1:8080", "-p", "8080", "2025-11-25",
		"http://localhost:11434/v1", "claude-sonnet-4-5-20250929", "text-embedding-3-large", "--max-tokens=4096"} {
		out, notes := imported(t, `{"mcpServers": {"one": {"command": "srv", "args": [`+quoted(arg)+`]}}}`, Options{})
		if !strings.Contains(out, quoted(arg)) || notes != "" {
			t.Errorf("%s: %s%s", arg, out, notes)
		}
	}
}

func TestTwoSecretsOfOneName(t *testing.T) {
	out, notes := imported(t, `{"mcpServers": {"a": {"command": "x", "env": {"GH_TOKEN": "one"}},
		"b": {"command": "x", "env": {"GH_TOKEN": "two"}}, "c": {"command": "x", "env": {"GH_TOKEN": "one"}}}}`, Options{})
	for _, want := range []string{"${env:A_GH_TOKEN}", "${env:B_GH_TOKEN}", "${env:C_GH_TOKEN}"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("no %s: %s", want, out)
		}
	}
	if !strings.Contains(notes, "C_GH_TOKEN to the secret that the file has for GH_TOKEN, the same as A_GH_TOKEN") {
		t.Error(notes)
	}
	// The same secret under the same name is one variable, and an agent's two tokens say where they
	// stand.
	out, _ = imported(t, `{"mcpServers": {"a": {"command": "x", "env": {"GH_TOKEN": "one"}}, "b": {"command": "x",
		"env": {"GH_TOKEN": "one"}}, "far": {"url": "https://h/mcp?token=three3", "headers": {"Authorization":
		"Bearer four4"}}}}`, Options{})
	if strings.Count(out, `"${env:GH_TOKEN}"`) != 2 || !strings.Contains(out, "?token=${env:FAR_TOKEN}") ||
		!strings.Contains(out, `token: "${env:FAR_HEADER_TOKEN}"`) {
		t.Error(out)
	}
}
