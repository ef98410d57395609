package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit/fixture"
)

// lines serves an agent on pipes; what the test writes goes in, each line that comes out is passed
// on.
func lines(t *testing.T, ctx context.Context, p *fixture.Probe, o Options) (in io.WriteCloser, out <-chan string,
	ended <-chan error) {
	t.Helper()
	o.NoFastPath = o.NoFastPath || fixture.NoFastPath
	dir := &fixture.Crew{}
	echo := dir.Add(t, "echo", fixture.EchoCaps(p))
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	end, text := make(chan error, 1), make(chan string, 100)
	go func() {
		err := ServeStdio(ctx, echo, inR, outW, o, Identity{})
		_ = outW.Close()
		_ = inR.Close()
		end <- err
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for sc := bufio.NewScanner(outR); sc.Scan(); {
			text <- sc.Text()
		}
		close(text)
	}()
	t.Cleanup(func() { _ = inW.Close(); <-read })
	return inW, text, end
}

const initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

func waitCall(id int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"wait","arguments":{"word":"w"}}}`, id)
}

func say(t *testing.T, in io.Writer, msgs ...string) {
	t.Helper()
	if _, err := io.WriteString(in, strings.Join(msgs, "\n")+"\n"); err != nil {
		t.Fatal(err)
	}
}

func TestStdioEndsAfterTheLastAnswer(t *testing.T) {
	p := fixture.NewProbe()
	in, out, ended := lines(t, t.Context(), p, Options{})
	say(t, in, initialize, initialized, waitCall(2), waitCall(3))
	fixture.Receive(t, "a call", p.Started)
	fixture.Receive(t, "a call", p.Started)
	_ = in.Close()
	p.Release <- struct{}{}
	p.Release <- struct{}{}
	var all []string
	for line := range out {
		all = append(all, line)
	}
	if len(all) != 3 || !strings.Contains(all[0], `"protocolVersion"`) ||
		strings.Count(strings.Join(all, " "), `"text":"w"`) != 2 {
		t.Errorf("%d lines: %s", len(all), all)
	}
	if err := fixture.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

func TestStdioLingersNoLongerThanItMay(t *testing.T) {
	p := fixture.NewProbe()
	in, _, ended := lines(t, t.Context(), p, Options{Limits: Limits{Linger: 20 * time.Millisecond}})
	say(t, in, initialize, initialized, waitCall(2))
	fixture.Receive(t, "the call", p.Started)
	_ = in.Close()
	fixture.Receive(t, "the tool's end", p.Cancelled)
	if err := fixture.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

func TestStdioIsDrainedWhenItsContextEnds(t *testing.T) {
	p := fixture.NewProbe()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, out, ended := lines(t, ctx, p, Options{})
	say(t, in, initialize, initialized, waitCall(2))
	fixture.Receive(t, "the handshake", out)
	fixture.Receive(t, "the call", p.Started)
	stop()
	for i := 3; ; i++ { // until the refusal begins, calls still get in
		say(t, in, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"plain","arguments":{"word":"w"}}}`, i))
		if line := fixture.Receive(t, "an answer", out); strings.Contains(line, `"openmas/code":"unavailable"`) &&
			strings.Contains(line, `"openmas/not-executed":true`) {
			break
		}
	}
	p.Release <- struct{}{}
	if line := fixture.Receive(t, "the answer", out); !strings.Contains(line, `"text":"w"`) {
		t.Error(line)
	}
	if err := fixture.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

func TestGarbageOnStdioCostsNothing(t *testing.T) {
	in, out, ended := lines(t, t.Context(), fixture.NewProbe(), Options{Logger: slog.New(slog.DiscardHandler)})
	say(t, in, "hello?", initialize, initialized,
		`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"plain","arguments":{"word":"fine"}}}`)
	var all string
	for range 3 {
		all += fixture.Receive(t, "an answer", out)
	}
	if !strings.Contains(all, "-32700") || !strings.Contains(all, `"text":"fine"`) {
		t.Error(all)
	}
	_ = in.Close()
	if err := fixture.Receive(t, "the end", ended); err != nil {
		t.Error(err)
	}
}
