package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
)

// osPipes are the four ends of a connection over two operating system pipes.
func osPipes(t *testing.T) (clientR, clientW, serverR, serverW *os.File) {
	t.Helper()
	serverR, clientW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	clientR, serverW, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{clientR, clientW, serverR, serverW} {
			f.Close()
		}
	})
	return clientR, clientW, serverR, serverW
}

// bareLine is a connected Line without an SDK, and the far ends of its streams.
func bareLine(t *testing.T, o LineOptions, hook Hook) (l *Line, toLine *io.PipeWriter, fromLine *bufio.Reader) {
	t.Helper()
	r, toLine := io.Pipe()
	out, w := io.Pipe()
	if o.Logger == nil {
		o.Logger = quiet
	}
	l = NewLine(r, w, o)
	l.SetHook(hook)
	if _, err := l.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		toLine.Close()
		out.Close()
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l, toLine, bufio.NewReader(out)
}

func send(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

func readLineOf(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func request(t *testing.T, id any, method string) *jsonrpc.Request {
	t.Helper()
	r := &jsonrpc.Request{Method: method}
	if id != nil {
		var err error
		if r.ID, err = jsonrpc.MakeID(id); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestLineCarriesSessions(t *testing.T) {
	big := LineOptions{Logger: quiet}
	server := LineOptions{Logger: quiet, Server: true}
	for _, c := range []struct {
		name           string
		client, server func(r, w *os.File) sdk.Transport
	}{
		{"ours on both ends", func(r, w *os.File) sdk.Transport {
			return NewLine(r, w, big)
		}, func(r, w *os.File) sdk.Transport { return NewLine(r, w, server) }},
		{"our client", func(r, w *os.File) sdk.Transport {
			return NewLine(r, w, big)
		}, func(r, w *os.File) sdk.Transport { return &sdk.IOTransport{Reader: r, Writer: w} }},
		{"our server", func(r, w *os.File) sdk.Transport {
			return &sdk.IOTransport{Reader: r, Writer: w}
		}, func(r, w *os.File) sdk.Transport { return NewLine(r, w, server) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture()
			var ss *sdk.ServerSession
			exercise(t, f, func(t *testing.T, progress func(float64)) *sdk.ClientSession {
				cr, cw, sr, sw := osPipes(t)
				ss = f.serve(t, c.server(sr, sw))
				return dial(t, c.client(cr, cw), progress)
			})
			_ = ss.Wait() // the reason is the client's close
		})
	}
}

// session joins an SDK client and the fixture over pipes.
func session(t *testing.T, f *fixture, co, so LineOptions) (*sdk.ClientSession, *Line, *Line) {
	t.Helper()
	cr, cw, sr, sw := osPipes(t)
	co.Logger, so.Logger, so.Server = quiet, quiet, true
	server, client := NewLine(sr, sw, so), NewLine(cr, cw, co)
	ss := f.serve(t, server)
	cs := dial(t, client, nil)
	t.Cleanup(func() {
		client.Close()
		server.Close()
		_ = ss.Wait() // whatever ended it
	})
	return cs, client, server
}

func TestLineDisconnectCancelsTools(t *testing.T) {
	f := newFixture()
	cs, client, server := session(t, f, LineOptions{}, LineOptions{})
	failed := make(chan error, 1)
	go func() {
		_, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "wait"})
		failed <- err
	}()
	receive(t, f.started, "the call to start")
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	receive(t, f.cancelled, "the tool to be cancelled")
	if err := receive(t, failed, "the call to fail"); err == nil {
		t.Error("the call succeeded")
	}
	receive(t, server.Done(), "the server's end")
	if err := server.Err(); !errors.Is(err, ErrPeerClosed) || !errors.Is(err, io.EOF) {
		t.Errorf("the server's connection ended with %v", err)
	}
	receive(t, server.Finished(), "the server's goroutines")
}

func TestLineFrameLimits(t *testing.T) {
	t.Run("request", func(t *testing.T) {
		cs, _, _ := session(t, newFixture(), LineOptions{MaxFrame: 10000}, LineOptions{})
		ctx, trace := WithTrace(t.Context())
		_, err := echo(ctx, cs, echoIn{Text: strings.Repeat("x", 10000)})
		var unsent *NotSentError
		var large *TooLargeError
		if !errors.As(err, &unsent) || !errors.As(err, &large) || large.Inbound || large.Limit != 10000 ||
			large.Size <= 10000 {
			t.Errorf("error %v", err)
		}
		if trace.Sent() {
			t.Error("traced as sent")
		}
		mustEcho(t, cs)
	})
	t.Run("result", func(t *testing.T) {
		cs, _, _ := session(t, newFixture(), LineOptions{}, LineOptions{MaxFrame: 10000})
		_, err := echo(t.Context(), cs, echoIn{Size: 10000})
		var we *jsonrpc.Error
		if !errors.As(err, &we) || we.Code != jsonrpc.CodeInternalError ||
			!strings.Contains(we.Message, "over the limit of 10000") {
			t.Errorf("error %v", err)
		}
		mustEcho(t, cs)
	})
	t.Run("incoming at a client", func(t *testing.T) {
		cs, _, _ := session(t, newFixture(), LineOptions{MaxFrame: 10000}, LineOptions{})
		_, err := echo(t.Context(), cs, echoIn{Size: 100000})
		if err == nil || !strings.Contains(err.Error(), "more than 10000 bytes, the limit") {
			t.Errorf("the call ended with %v", err)
		}
		mustEcho(t, cs)
	})
	t.Run("incoming at a server", func(t *testing.T) {
		l, in, out := bareLine(t, LineOptions{Server: true, MaxFrame: 100}, nil)
		send(t, in, `{"jsonrpc":"2.0","method":"`+strings.Repeat("m", 69)+"\"}\r\n") // 100 bytes
		if m, err := l.Read(t.Context()); err != nil || len(m.(*jsonrpc.Request).Method) != 69 {
			t.Fatalf("a message of the limit: %v, %v", m, err)
		}
		go io.WriteString(in, strings.Repeat("y", 101)+"\n")
		if got := readLineOf(t, out); !strings.Contains(got,
			`"id":null,"error":{"code":-32600,"message":"the message has 101 bytes, over the limit of 100`) {
			t.Errorf("the client is told %s", got)
		}
	})
}

func TestLineWriterThatNeverReads(t *testing.T) {
	t.Parallel()
	l, _, _ := bareLine(t, LineOptions{MaxQueue: 100}, nil)
	big := &jsonrpc.Request{Method: "notifications/" + strings.Repeat("x", 200)}
	if err := l.Write(t.Context(), big); err != nil { // the write under way
		t.Fatal(err)
	}
	testkit.Eventually(t, "the write to begin", func() bool {
		l.out.mu.Lock()
		defer l.out.mu.Unlock()
		return len(l.out.queue.data) == 0
	})
	queued, qtrace := WithTrace(t.Context())
	if err := l.Write(queued, request(t, "q", "queued")); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), request(t, "k", "kept")); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ctx, trace := WithTrace(ctx)
	failed := make(chan error, 1)
	go func() { failed <- l.Write(ctx, request(t, "w", "waiting"+strings.Repeat("x", 100))) }()
	cancel()
	err := receive(t, failed, "Write to honour its context")
	var unsent *NotSentError
	if !errors.As(err, &unsent) || !errors.Is(err, context.Canceled) || trace.Sent() {
		t.Errorf("Write: %v, sent %v", err, trace.Sent())
	}
	if qtrace.Sent() {
		t.Error("a message that is still queued was traced as sent")
	}

	go func() { failed <- l.Write(context.Background(), request(t, "v", "closed"+strings.Repeat("x", 100))) }()
	l.out.mu.Lock()
	waiting := l.out.room != nil
	l.out.mu.Unlock()
	_ = waiting // it may or may not wait yet: Close must release it either way
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := receive(t, failed, "Close to unblock Write"); !errors.As(err, &unsent) || !errors.Is(err, ErrClosed) {
		t.Errorf("Write: %v", err)
	}
}

func TestTraceWithdrawsWhatIsQueued(t *testing.T) {
	o := newOutbox("<", ">", 1000)
	ctx := t.Context()
	traces := make([]*Trace, 4)
	for i := range traces {
		traces[i] = new(Trace)
		if err := o.put(ctx, traces[i], fmt.Append(nil, "m", i)); err != nil {
			t.Fatal(err)
		}
		if err := o.put(ctx, nil, fmt.Append(nil, "n", i)); err != nil {
			t.Fatal(err)
		}
	}
	if traces[0].Sent() || traces[2].Sent() {
		t.Error("sent while queued")
	}
	b := o.take()
	if got := string(b.data); got != "<n0><m1><n1><n2><m3><n3>" {
		t.Errorf("taken: %s", got)
	}
	o.sent(b, len("<n0><m")) // the write broke within m1
	for i, want := range []bool{false, true, false, false} {
		if got := traces[i].Sent(); got != want {
			t.Errorf("m%d sent: %v, want %v", i, got, want)
		}
	}
	if traces[0].Sent() || !traces[1].Sent() {
		t.Error("a second answer differs")
	}
}

func TestLineGarbage(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		l, in, out := bareLine(t, LineOptions{}, nil)
		send(t, in, "Loading model… 100%\n\n  "+
			"\r\n{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"x\"}}\n{\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n\xff\xfe\n[1]\n{\"jsonrpc\":\"2.0\",\"method\":\"b\"}\n")
		for _, want := range []string{"a", "b"} {
			if m, err := l.Read(t.Context()); err != nil || m.(*jsonrpc.Request).Method != want {
				t.Fatalf("want %s: %v, %v", want, m, err)
			}
		}
		if n := out.Buffered(); n != 0 {
			t.Errorf("a client answered garbage with %d bytes", n)
		}
	})
	t.Run("server", func(t *testing.T) {
		l, in, out := bareLine(t, LineOptions{Server: true}, nil)
		for _, c := range []struct{ line, want string }{
			{"hello", `"id":null,"error":{"code":-32700,`},
			{`{"jsonrpc":"2.0","id":1,`, `"id":1,"error":{"code":-32700,`},
			{`{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":"` + "\xff" + `"}}`, `"id":7,"error":{"code":-32700,`},
			{`{"id":1,"method":"x"}`, `"error":{"code":-32600,`},
			{`{"jsonrpc":"2.0","id":{},"method":"x"}`,
				`"id":null,"error":{"code":-32600,"message":"its id is neither a string nor a number"}`},
			{`{"jsonrpc":"2.0","id":1,"method":5}`, `"id":1,"error":{"code":-32600,"message":"its method is no string"}`},
			{`5`, `"id":null,"error":{"code":-32600,"message":"it is no JSON object"}`},
			{`[]x`, `"id":null,"error":{"code":-32600,`},
			{``, `"id":null,"error":{"code":-32700,"message":"it is not JSON: `}, // the rest of the line before

			{`[]`, `"id":null,"error":{"code":-32600,`},
			{`[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":1,"method":"a"}]`,
				`"id":null,"error":{"code":-32600,`},
			{`[1`, `"id":null,"error":{"code":-32700,`},
		} {
			send(t, in, c.line+"\n")
			if got := readLineOf(t, out); !strings.Contains(got, c.want) {
				t.Errorf("%s is answered %s", c.line, got)
			}
		}
		// An error is never answered, or two servers would go on for ever.
		send(t, in, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1,\"message\":\"x\"}}\n{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"ping\"}\n")
		if m, err := l.Read(t.Context()); err != nil || m.(*jsonrpc.Request).Method != "ping" {
			t.Fatalf("after garbage: %v, %v", m, err)
		}
		l.out.mu.Lock()
		defer l.out.mu.Unlock()
		if len(l.out.queue.data) != 0 {
			t.Errorf("answered an error: %s", l.out.queue.data)
		}
	})
}

func TestLineBatches(t *testing.T) {
	f := newFixture()
	talk := func(t *testing.T, version string) (*io.PipeWriter, *bufio.Reader) {
		r, in := io.Pipe()
		out, w := io.Pipe()
		l := NewLine(r, w, LineOptions{Server: true, Logger: quiet})
		ss := f.serve(t, l)
		t.Cleanup(func() {
			in.Close()
			out.Close()
			_ = ss.Wait() // ends with the input
		})
		br := bufio.NewReader(out)
		send(t, in, `{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"`+version+
			`","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`+"\n")
		if got := readLineOf(t, br); !strings.Contains(got, version) {
			t.Fatalf("initialize: %s", got)
		}
		return in, br
	}
	batch := `[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":"two","method":"ping"}]` + "\n"
	t.Run("2025-03-26", func(t *testing.T) {
		in, out := talk(t, "2025-03-26")
		for range 2 { // ids can be used again
			send(t, in, batch)
			got := readLineOf(t, out)
			if !strings.HasPrefix(got, "[{") || strings.Count(got, `"result":{}`) != 2 ||
				!strings.Contains(got, `"id":1`) || !strings.Contains(got, `"id":"two"`) {
				t.Errorf("answered %s", got)
			}
		}
	})
	t.Run("2025-06-18", func(t *testing.T) {
		in, out := talk(t, "2025-06-18")
		send(t, in, batch)
		if got := readLineOf(t, out); !strings.Contains(got, "-32600") || !strings.Contains(got, "2025-06-18 has no "+
			"batches") {
			t.Errorf("answered %s", got)
		}
		send(t, in, `{"jsonrpc":"2.0","id":3,"method":"ping"}`+"\n")
		if got := readLineOf(t, out); !strings.Contains(got, `"id":3,"result":{}`) {
			t.Errorf("then answered %s", got)
		}
	})
	t.Run("answers over the limit go out one by one", func(t *testing.T) {
		l, in, out := bareLine(t, LineOptions{MaxFrame: 200}, nil)
		send(t, in, `[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","id":2,"method":"a"}]`+"\n")
		for range 2 {
			m, err := l.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Write(t.Context(),
				&jsonrpc.Response{ID: m.(*jsonrpc.Request).ID,
					Result: []byte(`"` + strings.Repeat("r", 100) + `"`)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 {
			if got := readLineOf(t, out); !strings.HasPrefix(got, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,`, i+1)) {
				t.Errorf("answer %d: %s", i, got)
			}
		}
	})
}

func TestLineHook(t *testing.T) {
	var seen []string
	l, in, out := bareLine(t, LineOptions{Server: true}, func(raw []byte, env *Envelope) bool {
		seen = append(seen, string(raw))
		return string(env.Method) == "mine"
	})
	mine, yours := `{"jsonrpc":"2.0","id":1,"method":"mine"}`, `{"jsonrpc":"2.0","id":2,"method":"yours"}`
	send(t, in, mine+"\r\n["+mine+"]\n"+`{"jsonrpc":"2.0","id":3,"method":"m\u0069ne"}`+"\n"+yours+"\n")
	for _, want := range []string{"mine", "yours"} { // from the batch, and not the hook's
		if m, err := l.Read(t.Context()); err != nil || m.(*jsonrpc.Request).Method != want {
			t.Fatalf("%v, %v", m, err)
		}
	}
	escaped := `{"jsonrpc":"2.0","id":3,"method":"mine"}` // as the SDK reads it
	if got := strings.Join(seen, "|"); got != mine+"|"+escaped+"|"+yours {
		t.Errorf("the hook saw %s", got)
	}
	if err := l.WriteRaw(t.Context(), []byte(`{"raw":true}`)); err != nil {
		t.Error(err)
	}
	if got := readLineOf(t, out); got != "{\"raw\":true}\n" {
		t.Errorf("raw: %s", got)
	}
	for _, bad := range []string{"{\n}", "{\r}", strings.Repeat("x", DefaultMaxFrame+1)} {
		if err := l.WriteRaw(t.Context(), []byte(bad)); !errors.As(err, new(*NotSentError)) {
			t.Errorf("WriteRaw(%.5q…): %v", bad, err)
		}
	}
}

func TestLineLingerAnswersBeforeTheEnd(t *testing.T) {
	const calls = 20
	var in bytes.Buffer
	in.WriteString(`{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}` + "\n" + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n")
	for i := range calls {
		fmt.Fprintf(&in, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":"t"}}}`+"\n", i)
	}
	var out bytes.Buffer // read after the connection has finished
	l := NewLine(&in, &out, LineOptions{Server: true, Linger: hang, Logger: quiet})
	if err := newFixture().serve(t, l).Wait(); err != nil {
		t.Error(err)
	}
	receive(t, l.Finished(), "the goroutines")
	if got := strings.Count(out.String(), "\n"); got != calls+1 {
		t.Errorf("%d answers, want %d:\n%s", got, calls+1, out.String())
	}
}

func TestLineHoldKeepsLinger(t *testing.T) {
	l, in, _ := bareLine(t, LineOptions{Server: true, Linger: time.Hour}, nil)
	l.Hold()
	l.Hold()
	in.Close()
	l.Release()
	select {
	case <-l.Done():
		t.Fatal("ended with a call in flight")
	default:
	}
	l.Release()
	receive(t, l.Done(), "the end")
}

// brokenPipe takes n bytes, then fails.
type brokenPipe struct{ n int }

func (b *brokenPipe) Write(p []byte) (int, error) {
	n := min(b.n, len(p))
	if b.n -= n; n < len(p) {
		return n, errors.New("broken pipe")
	}
	return n, nil
}

func TestLineBrokenPipe(t *testing.T) {
	t.Parallel()
	for _, taken := range []int{0, 10} {
		t.Run(fmt.Sprint(taken, " bytes taken"), func(t *testing.T) {
			t.Parallel()
			r, in := io.Pipe()
			defer in.Close()
			l := NewLine(r, &brokenPipe{taken}, LineOptions{Logger: quiet})
			if _, err := l.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ctx, trace := WithTrace(t.Context())
			if err := l.Write(ctx, request(t, "1", "a")); err != nil {
				t.Fatal(err)
			}
			// What the peer sent before it left is still read.
			send(t, in, `{"jsonrpc":"2.0","method":"last words"}`+"\n")
			if m, err := l.Read(t.Context()); err != nil || m.(*jsonrpc.Request).Method != "last words" {
				t.Errorf("Read: %v, %v", m, err)
			}
			if _, err := l.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "broken pipe") {
				t.Errorf("Read: %v", err)
			}
			if trace.Sent() != (taken > 0) {
				t.Errorf("sent: %v", trace.Sent())
			}
		})
	}
}

// stuck is a stream that nothing unblocks.
type stuck chan struct{}

func (s stuck) Read([]byte) (int, error)    { <-s; return 0, io.EOF }
func (s stuck) Write(p []byte) (int, error) { <-s; return len(p), nil }

func TestLineCloseDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := make(stuck)
		l := NewLine(s, s, LineOptions{Logger: quiet})
		if _, err := l.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Write(t.Context(), request(t, nil, "a")); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err == nil || !strings.Contains(err.Error(), "a write to the peer is stuck") ||
			!strings.Contains(err.Error(), "a read from the peer is stuck") {
			t.Errorf("close: %v", err)
		}
		close(s)
		receive(t, l.Finished(), "the goroutines")
	})
}

func TestLineKeepReader(t *testing.T) {
	r, in := io.Pipe()
	l := NewLine(r, io.Discard, LineOptions{KeepReader: true, Logger: quiet})
	if _, err := l.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	send(t, in, "goodbye\n") // a pipe: this returns once it was read
	in.Close()
	receive(t, l.Finished(), "the goroutines")
}

func TestLineUnconnected(t *testing.T) {
	r, w := io.Pipe()
	l := NewLine(r, w, LineOptions{})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the streams were not closed: %v", err)
	}
	if _, err := l.Connect(t.Context()); err == nil {
		t.Error("connected after Close")
	}
	receive(t, l.Finished(), "finished")
}

func BenchmarkLineRoundTrip(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			sr, cw, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			cr, sw, err := os.Pipe()
			if err != nil {
				b.Fatal(err)
			}
			answer := []byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}}`)
			server, client := NewLine(sr, sw, LineOptions{Server: true}), NewLine(cr, cw, LineOptions{})
			replies := make(chan struct{}, 64)
			server.SetHook(func([]byte, *Envelope) bool { return server.WriteRaw(b.Context(), answer) == nil })
			client.SetHook(func([]byte, *Envelope) bool { replies <- struct{}{}; return true })
			for _, l := range []*Line{server, client} {
				if _, err := l.Connect(b.Context()); err != nil {
					b.Fatal(err)
				}
				defer l.Close()
			}
			b.ReportAllocs()
			call := []byte(callLine)
			for range callers - 1 {
				if err := client.WriteRaw(b.Context(), call); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if err := client.WriteRaw(b.Context(), call); err != nil {
					b.Fatal(err)
				}
				<-replies
			}
		})
	}
}

// TestLineSendsItsLastAnswer: what is queued just before the input ends is sent, whatever the
// goroutine that writes does at that moment.
func TestLineSendsItsLastAnswer(t *testing.T) {
	for range 20000 {
		var sent bytes.Buffer
		l := NewLine(strings.NewReader("hello\nhello\n"), &sent, LineOptions{Server: true, Logger: quiet})
		if _, err := l.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-l.Finished()
		if n := strings.Count(sent.String(), "-32700"); n != 2 { // the answer to what is no message
			t.Fatalf("%d of 2 answers were sent", n)
		}
	}
}

// How long a request waits for what stands before it is measured where it is asked for, the wait
// for room included.
func TestTraceMeasuresTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox("", "", 4)
		traces := []*Trace{new(Trace), new(Trace), new(Trace)}
		traces[1].Time()
		traces[2].Time()
		for _, trace := range traces[:2] {
			if err := o.put(t.Context(), trace, []byte("ab")); err != nil {
				t.Fatal(err)
			}
		}
		go func() { _ = o.put(t.Context(), traces[2], []byte("ab")) }() // there is no room yet
		synctest.Wait()
		for _, want := range []string{"abab", "ab"} {
			time.Sleep(time.Second)
			if b := o.take(); string(b.data) != want {
				t.Errorf("taken: %s", b.data)
			}
			synctest.Wait()
		}
		for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
			if got := traces[i].Waited(); got != want {
				t.Errorf("message %d waited %v, want %v", i, got, want)
			}
		}
	})
}
