package child

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func ExampleSSEURL() {
	// A server that meant to print a newline, and the next line of its log.
	value, ok := SSEURL(`SSE_SERVER_URL=http://127.0.0.1:8000\n2025-04-12 INFO - Starting`, true)
	fmt.Println(value, ok)
	// Output: http://127.0.0.1:8000 true
}

func TestSSEURL(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // empty: none
		part string // what is known while the line has not ended
	}{
		{"SSE_SERVER_URL=http://127.0.0.1:8000", "http://127.0.0.1:8000", ""},
		{"SSE_SERVER_URL=http://127.0.0.1:8000 ", "http://127.0.0.1:8000", "http://127.0.0.1:8000"},
		{`SSE_SERVER_URL=http://127.0.0.1:8000\n`, "http://127.0.0.1:8000", "http://127.0.0.1:8000"},
		{`SSE_SERVER_URL=https://localhost/base/sse\nINFO`, "https://localhost/base/sse", "https://localhost/base/sse"},
		{`INFO:root:"SSE_SERVER_URL=http://[::1]:80" up`, "http://[::1]:80", "http://[::1]:80"},
		{"\x1b[32mSSE_SERVER_URL=http://h:1\x1b[0m", "http://h:1", "http://h:1"},
		{"SSE_SERVER_URL=http://0.0.0.0:8000/sse ", "http://127.0.0.1:8000/sse", "http://127.0.0.1:8000/sse"},
		{"SSE_SERVER_URL=http://[::]:8000 ", "http://[::1]:8000", "http://[::1]:8000"},
		{"SSE_SERVER_URL=http://0.0.0.0 ", "http://127.0.0.1", "http://127.0.0.1"},
		{"SSE_SERVER_URL=http://[::] ", "http://[::1]", "http://[::1]"},
		{"SSE_SERVER_URL=later SSE_SERVER_URL=http://h:1 x", "http://h:1", "http://h:1"},
		{"MY_SSE_SERVER_URL=http://h:1 ", "", ""},
		{"SSE_SERVER_URL=", "", ""},
		{"SSE_SERVER_URL= http://h:1 ", "", ""},
		{"SSE_SERVER_URL=ftp://h:1 ", "", ""},
		{"SSE_SERVER_URL=//h:1 ", "", ""},
		{"SSE_SERVER_URL=http://:8000 ", "", ""},
		{"SSE_SERVER_URL=http:///sse ", "", ""},
		{"SSE_SERVER_URL=http://h:0 ", "", ""},
		{"SSE_SERVER_URL=http://h:70000 ", "", ""},
		{"SSE_SERVER_URL=http://h:port ", "", ""},
		{"sse_server_url=http://h:1 ", "", ""},
		{"", "", ""},
	} {
		if got, ok := SSEURL(tt.line, true); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%q: got %q, %v, want %q", tt.line, got, ok, tt.want)
		}
		if got, ok := SSEURL(tt.line, false); got != tt.part || ok != (tt.part != "") {
			t.Errorf("unfinished %q: got %q, %v, want %q", tt.line, got, ok, tt.part)
		}
	}
}

func TestStdioReady(t *testing.T) {
	for _, tt := range []struct {
		line       string
		want, part bool
	}{
		{"STDIO_SERVER_READY", true, false},
		{`STDIO_SERVER_READY\n`, true, true},
		{`STDIO_SERVER_READY\n2025-04-12 INFO - Starting`, true, true},
		{"INFO STDIO_SERVER_READY now", true, true},
		{"STDIO_SERVER_READY_SOON, STDIO_SERVER_READY.", true, true},
		{"STDIO_SERVER_READY_SOON", false, false},
		{"NOT_STDIO_SERVER_READY", false, false},
		{"", false, false},
	} {
		if _, got := StdioReady(tt.line, true); got != tt.want {
			t.Errorf("%q: %v", tt.line, got)
		}
		if _, got := StdioReady(tt.line, false); got != tt.part {
			t.Errorf("unfinished %q: %v", tt.line, got)
		}
	}
}

func FuzzReady(f *testing.F) {
	f.Add(`SSE_SERVER_URL=http://127.0.0.1:8000\n`, "INFO")
	f.Add("x SSE_SERVER_URL=https://[::]:1/sse?a=b#c", "0/more")
	f.Add("SSE_SERVER_URL=SSE_SERVER_URL=http://h ", "STDIO_SERVER_READY")
	f.Add("SSE_SERVER_URL=http://h\xc2", "\xa0")
	f.Fuzz(func(t *testing.T, line, rest string) {
		value, ok := SSEURL(line, true)
		if ok {
			u, err := url.Parse(value)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
				strings.ContainsAny(value, "\\ \t\x1b") {
				t.Errorf("%q: %q, %v", line, value, err)
			}
		}
		// The value for an unfinished line stays, whatever follows.
		if early, ok := SSEURL(line, false); ok {
			if late, ok := SSEURL(line+rest, true); !ok || late != early {
				t.Errorf("%q: first %q, with %q then %q", line, early, rest, late)
			}
		}
		if _, ok := StdioReady(line, false); ok {
			if _, ok := StdioReady(line+rest, true); !ok {
				t.Errorf("%q: ready, but not with %q", line, rest)
			}
		}
	})
}
