package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
)

// roleVariable names the program that a process of the test binary is to be.
const roleVariable = "OPENMAS_TEST_ROLE"

// buildTime is how long the role "built" takes before it serves.
const buildTime = 4 * time.Second

// role is a target that runs this test binary as another program.
func role(t testing.TB, name string, transport mcp.Transport) Target {
	t.Helper()
	testkit.Processes(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Target{Name: name, Transport: transport, Command: []string{self},
		Env: map[string]string{roleVariable: name, "GORACE": testkit.NoExitSleep}}
}

// playRole is the other program's main. It ends the process.
func playRole(name string) int {
	switch name {
	case "server":
		return serveStdin(fixture.NewForeign())
	case "hello":
		var line []byte
		for b := []byte{0}; b[0] != '\n'; line = append(line, b[0]) {
			if _, err := os.Stdin.Read(b); err != nil {
				return 1
			}
		}
		f := fixture.NewForeign()
		f.AddTool(&sdk.Tool{Name: string(line[:len(line)-1]), InputSchema: map[string]any{"type": "object"}}, nil)
		return serveStdin(f)
	case "built":
		fmt.Fprintln(os.Stderr, mcp.Building+"x")
		<-time.After(buildTime)
		fmt.Fprintln(os.Stderr, mcp.Built+"x")
		return serveStdin(fixture.NewForeign())
	case "chatty":
		fmt.Println("Welcome to the server!")
		fmt.Println("[1, 2]")
		fmt.Println(`{"not": "json-rpc"}`)
		return serveStdin(fixture.NewForeign())
	case "garbage":
		for {
			if _, err := fmt.Println("this is no protocol"); err != nil {
				return 1
			}
		}
	case "exits":
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):")
		fmt.Fprintln(os.Stderr, "ModuleNotFoundError: No module named 'mcp'")
		return 3
	case "silent":
		fmt.Fprintln(os.Stderr, "thinking")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
		return 0
	case "old": // never answers what it does not know, and nothing after it
		in := bufio.NewReader(os.Stdin)
		first, err := in.ReadBytes('\n')
		if err != nil {
			return 1
		}
		if !bytes.Contains(first, []byte(`"initialize"`)) {
			_, _ = io.Copy(io.Discard, in) // until it is closed
			return 0
		}
		f := fixture.NewForeign()
		if err := f.Run(context.Background(),
			&sdk.IOTransport{Reader: io.NopCloser(io.MultiReader(bytes.NewReader(first), in)),
				Writer: os.Stdout}); err != nil {
			return 1
		}
		return 0
	case "raw":
		return answerRaw(os.Getenv(rawVariable))
	case "sse":
		f := fixture.NewForeign()
		return serveHTTP(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return f.Server }, nil), "/sse")
	case "http":
		f := fixture.NewForeign()
		return serveHTTP(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil), "/mcp")
	}
	fmt.Fprintf(os.Stderr, "no role %q\n", name)
	return 2
}

// rawVariable has the answers of the role "raw": a JSON object of method to line, in which ID
// stands for the request's. "exit" ends the program, "leave" with code 0; a method that is not
// there gets no answer.
const rawVariable = "OPENMAS_TEST_RAW"

func answerRaw(answers string) int {
	var lines map[string]string
	if err := json.Unmarshal([]byte(answers), &lines); err != nil {
		return 1
	}
	fmt.Fprintln(os.Stderr, "a line for operators")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var req struct {
			ID     json.RawMessage
			Method string
		}
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			return 1
		}
		switch line, ok := lines[req.Method]; {
		case line == "exit":
			return 4
		case line == "leave":
			return 0
		case ok && req.ID != nil:
			fmt.Println(strings.ReplaceAll(line, "ID", string(req.ID)))
		}
	}
	return 0
}

func serveStdin(f *fixture.Foreign) int {
	if err := f.Run(context.Background(), &sdk.StdioTransport{}); err != nil {
		return 1
	}
	return 0
}

// serveHTTP announces its address as the servers of the guide do: before the port is bound, and
// with a newline that is none.
func serveHTTP(h http.Handler, path string) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return 1
	}
	fmt.Fprintf(os.Stderr, `SSE_SERVER_URL=http://%s\nINFO:     Started server process`, addr)
	mux := http.NewServeMux()
	mux.Handle(path, h)
	srv := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	if err := srv.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}
