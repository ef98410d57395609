// Package mcptest starts MCP servers as processes for tests, in any language: it waits until they
// are ready, says what they printed when they are not, and leaves nothing behind.
//
//	func TestEcho(t *testing.T) {
//		python := mcptest.Require(t, "python3")
//		server := mcptest.Start(t, mcptest.Options{Transport: mcp.SSE,
//			Command: []string{python, "server.py"}, Args: []string{"--port", "0"}})
//		session := server.Connect(t)
//		res, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "echo",
//			Arguments: map[string]any{"message": "hi"}})
//		…
//	}
//
// A server on stdio says STDIO_SERVER_READY on standard error when it is ready, one over HTTP
// SSE_SERVER_URL=http://host:port.
package mcptest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// Options say what to start. Command is required.
type Options struct {
	// Command is the program and its arguments, run without a shell. Args follow them.
	Command, Args []string
	// Transport is how the server speaks: mcp.Stdio, the default, mcp.SSE or mcp.Streamable.
	Transport mcp.Transport
	// Path of the server's endpoint; default /sse or /mcp.
	Path string
	// Dir is the working directory; default this process's. Env is added to PATH, HOME, LANG, TZ
	// and VIRTUAL_ENV, which the program inherits.
	Dir string
	Env map[string]string
	// NoReadyLine is for a server on stdio that does not say when it is ready.
	NoReadyLine bool
	// ReadyTimeout bounds the start, 15 s by default; StopTimeout the time to end well, 5 s by
	// default, after which the process group is killed.
	ReadyTimeout, StopTimeout time.Duration
	// Logf gets each attempt to reach the server, and each line that it prints. Start takes the
	// test's when it is nil.
	Logf func(format string, args ...any)
}

// A Server is a process that is ready. Its methods may be called concurrently.
type Server struct {
	o   Options
	p   *child.Process
	url string

	mu   sync.Mutex
	used bool // the pipes of stdio
}

// Start starts a server for a test and stops it when the test is over. The test fails when it does
// not become ready.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Logf == nil {
		o.Logf = t.Logf
	}
	s, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Run starts a server and waits until it is ready. The error shows the last lines that the program
// printed; nothing is left running then. ctx bounds the start only: Stop ends the server.
func Run(ctx context.Context, o Options) (*Server, error) {
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.Transport == "" {
		o.Transport = mcp.Stdio
	}
	o.ReadyTimeout, o.StopTimeout = orDefault(o.ReadyTimeout, 15*time.Second), orDefault(o.StopTimeout, 5*time.Second)
	spec := child.Spec{Command: append(append([]string{}, o.Command...), o.Args...), Dir: o.Dir, Env: o.Env,
		Stdio: o.Transport == mcp.Stdio,
		Log:   func(line []byte) { o.Logf("server: %s", line) },
		Grace: child.Grace{Stdin: o.StopTimeout / 4, Term: o.StopTimeout / 2}}
	switch {
	case o.Transport != mcp.Stdio:
		spec.Ready = child.SSEURL
	case !o.NoReadyLine:
		spec.Ready = child.StdioReady
	}
	if len(o.Command) == 0 {
		return nil, errors.New("mcptest: no command")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.ReadyTimeout, fmt.Errorf("not ready within %v", o.ReadyTimeout))
	defer cancel()
	o.Logf("start %s", o.Command[0])
	p, err := child.Start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("mcptest: start the server: %w", err)
	}
	s := &Server{o: o, p: p}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("mcptest: %w%s", err, s.said()), s.Stop())
	}
	o.Logf("ready: process %d%s", p.Pid(), strings.TrimRight(" at "+s.url, " at"))
	return s, nil
}

// said continues an error with what the server printed.
func (s *Server) said() string {
	lines := s.Output()
	if len(lines) == 0 {
		return "; it printed nothing"
	}
	return "; its last lines:\n    " + strings.Join(lines, "\n    ")
}

func (s *Server) ready(ctx context.Context) error {
	value, err := s.p.Ready(ctx)
	if err != nil || s.o.Transport == mcp.Stdio {
		return err
	}
	s.url = value
	b := prober{endpoint: s.endpoint(), transport: s.o.Transport, p: s.p, logf: s.o.Logf}
	return b.answers(ctx)
}

func orDefault(v, def time.Duration) time.Duration {
	if v <= 0 {
		return def
	}
	return v
}

// URL is the server's address, without a path; empty on stdio.
func (s *Server) URL() string { return s.url }

// Pid is the number of the process.
func (s *Server) Pid() int { return s.p.Pid() }

// Done is closed when the process has ended, and Err then says how: nil for exit code 0.
func (s *Server) Done() <-chan struct{} { return s.p.Done() }

// Err is described with Done.
func (s *Server) Err() error { return s.p.Err() }

// Output is what the server printed last: at most 20 lines of its standard error, over HTTP of its
// standard output too.
func (s *Server) Output() []string { return s.p.Tail() }

// endpoint is where the server's transport is.
func (s *Server) endpoint() string {
	return strings.TrimSuffix(s.url, "/") + cmp.Or(s.o.Path, s.o.Transport.Endpoint())
}

// Transport leads to the server, for a client of the SDK. On stdio there is one only, and so one
// client.
func (s *Server) Transport() (sdk.Transport, error) {
	switch s.o.Transport {
	case mcp.SSE:
		return &sdk.SSEClientTransport{Endpoint: s.endpoint()}, nil
	case mcp.Streamable:
		return &sdk.StreamableClientTransport{Endpoint: s.endpoint()}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used {
		return nil, errors.New("mcptest: a server on stdio has one client")
	}
	s.used = true
	return wire.NewLine(s.p.Stdout(), s.p.Stdin(), wire.LineOptions{}), nil
}

// connectTimeout bounds the handshake.
const connectTimeout = 15 * time.Second

// Connect makes a client's session, with a protocol version that servers of all ages understand,
// and closes it when the test is over.
func (s *Server) Connect(t testing.TB) *sdk.ClientSession {
	t.Helper()
	transport, err := s.Transport()
	if err != nil {
		t.Fatal(err)
	}
	type connected struct {
		cs  *sdk.ClientSession
		err error
	}
	done := make(chan connected, 1)
	// The SDK ends a session over SSE with the context of its handshake, which therefore has no
	// deadline.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		c := sdk.NewClient(&sdk.Implementation{Name: "mcptest", Version: "1"}, nil)
		cs, err := c.Connect(ctx, transport, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
		done <- connected{cs, err}
	}()
	timer := time.NewTimer(connectTimeout)
	defer timer.Stop()
	select {
	case c := <-done:
		if c.err != nil {
			cancel()
			t.Fatalf("mcptest: connect: %v; the server printed:\n%s", c.err, strings.Join(s.Output(), "\n"))
		}
		t.Cleanup(func() {
			_ = c.cs.Close() // a server that is gone, or was told to go, has no say in it
			cancel()
		})
		return c.cs
	case <-timer.C:
		cancel()
		t.Fatalf("mcptest: no answer to the handshake within %v; the server printed:\n%s", connectTimeout,
			strings.Join(s.Output(), "\n"))
		return nil
	}
}

// Stop asks the server to end, and kills it with all that it started when it has not after
// StopTimeout, which is an error. It returns when nothing is left.
func (s *Server) Stop() error {
	select {
	case <-s.p.Done():
		return nil // it ended by itself, or was killed on purpose
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.o.StopTimeout)
	defer cancel()
	if err := s.p.Stop(ctx); err != nil {
		return fmt.Errorf("mcptest: process %d %w", s.p.Pid(), err)
	}
	return nil
}

// Kill ends the server and all that it started at once, as a crash would.
func (s *Server) Kill() {
	s.p.Kill()
	<-s.p.Done()
}

// Require finds a program that a test cannot do without. Without it the test is skipped, with the
// reason; where CI is set to true it fails, for there it would never run otherwise.
func Require(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is needed: %v", program, err)
	default:
		t.Skipf("%s is needed: %v", program, err)
	}
	return ""
}
