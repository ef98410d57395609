package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A single is a server that does one thing at a time, as one does whose event loop is blocked. A
// call of "block" takes 18 s, one of "freeze" lasts for ever, one of "ignore" has no answer.
func single(out io.Writer, in io.Reader) {
	lines := bufio.NewScanner(in)
	queue := make(chan string, 100)
	go func() {
		defer close(queue)
		for lines.Scan() {
			queue <- lines.Text()
		}
	}()
	modern := false
	for line := range queue {
		var env wire.Envelope
		if !env.Scan([]byte(line)) || env.ID == nil {
			continue
		}
		result := `{}`
		switch string(env.Method) {
		case "initialize":
			result = `{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"x","version":"1"}}`
		case "ping":
			if modern { // it has none
				continue
			}
		case "server/discover":
			modern = true
			result = `{"supportedVersions":["2026-07-28"],"capabilities":{},"serverInfo":{"name":"x","version":"1"},` +
				`"resultType":"complete","ttlMs":0,"cacheScope":"private"}`
		case "tools/call":
			switch result = `{"content":[],"resultType":"complete"}`; {
			case strings.Contains(line, "freeze"):
				for range queue { // until the session ends
				}
				return
			case strings.Contains(line, "ignore"):
				continue
			case strings.Contains(line, "block"):
				time.Sleep(18 * time.Second)
			}
		}
		fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", env.ID, result)
	}
}

// silences is a session to a single, with what was told of it: when it became suspect, and when it
// was not any more.
func silences(t *testing.T, version string) (s *Session, told func() []bool) {
	t.Helper()
	s, told, _ = pinged(t, version, 0)
	return s, told
}

// pinged is silences with an interval of pings, and with how many there were.
func pinged(t *testing.T, version string, interval time.Duration) (s *Session, told func() []bool, pings func() int) {
	t.Helper()
	fromServer, toClient := io.Pipe()
	fromClient, toServer := io.Pipe()
	var count atomic.Int64
	go single(toClient, io.TeeReader(fromClient, writer(func(p []byte) {
		count.Add(int64(bytes.Count(p, []byte(`"ping"`)) + bytes.Count(p, []byte(`"server/discover"`))))
	})))
	var mu sync.Mutex
	var all []bool
	s, err := connectPipes(t.Context(), pipe{fromServer, toServer}, Target{Protocol: version},
		Options{PingInterval: interval, OnSuspect: func(is bool) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, is)
		}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.ProtocolVersion(); version != "" && got != version {
		t.Fatalf("the session has protocol %s", got)
	}
	told = func() []bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
	before := count.Load() // the handshake asks for versions as well
	return s, told, func() int { return int(count.Load() - before) }
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func callFor(ctx context.Context, s *Session, name string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: name})
	return err
}

// freeze freezes a single, without a call that runs into its deadline.
func freeze(t *testing.T, s *Session) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	_, err := s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "freeze"})
	if agent.CodeOf(err) != agent.CodeCanceled {
		t.Error(err)
	}
}

var versions = []string{"", codec.Version20260728}

// A server that does nothing else while it works on a call keeps its session, and is suspect.
func TestABlockedServerKeepsItsSession(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told := silences(t, version)
				if err := callFor(t.Context(), s, "block", 30*time.Second); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if got := told(); !slices.Equal(got, []bool{true, false}) || s.Err() != nil {
					t.Error(got, s.Err())
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

// One that is frozen loses it when the deadlines of the calls that it had have passed, although
// more calls come.
func TestAFrozenServerLosesItsSession(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told := silences(t, version)
				began := time.Now()
				var all sync.WaitGroup
				all.Go(func() { _ = callFor(t.Context(), s, "freeze", 20*time.Second) })
				all.Go(func() {
					for s.Err() == nil {
						time.Sleep(time.Second)
						all.Go(func() { _ = callFor(t.Context(), s, "more", 30*time.Second) })
					}
				})
				<-s.Done()
				// those that came before the first ping without an answer have 30 s
				if took := time.Since(began); took < 30*time.Second || took > 45*time.Second {
					t.Errorf("it took %v", took)
				}
				var ping *PingError
				if got := told(); !slices.Equal(got, []bool{true, false}) || !errors.As(s.Err(), &ping) {
					t.Error(got, s.Err())
				}
				all.Wait()
				_ = s.Close(t.Context())
			})
		})
	}
}

// What a caller has given up the server may still work on, until the deadline that it knew.
func TestACallThatWasGivenUpCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := silences(t, "")
		ctx, giveUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, giveUp)
		_ = callFor(ctx, s, "block", 30*time.Second)
		time.Sleep(time.Minute)
		if s.Err() != nil {
			t.Error(s.Err())
		}
		_ = s.Close(t.Context())
	})
}

// A server that is frozen while it has nothing to do is given up within 15 s.
func TestAnIdleServerThatFreezes(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := silences(t, version)
				time.Sleep(time.Hour + time.Second) // not when it is pinged: it would owe an answer
				began := time.Now()
				freeze(t, s)
				<-s.Done()
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

// A server that freezes at any time is suspect before it has said nothing for the interval of
// pings: there is time left to tell it.
func TestAFrozenServerIsSuspectInTime(t *testing.T) {
	for _, interval := range []time.Duration{5 * time.Second, 15 * time.Second} {
		for phase := range interval / time.Second {
			synctest.Test(t, func(t *testing.T) {
				fromServer, toClient := io.Pipe()
				fromClient, toServer := io.Pipe()
				go single(toClient, fromClient)
				suspect := make(chan time.Time, 10)
				s, err := connectPipes(t.Context(), pipe{fromServer, toServer}, Target{},
					Options{PingInterval: interval, OnSuspect: func(bool) { suspect <- time.Now() }})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(phase * time.Second)
				if err := callFor(t.Context(), s, "well", time.Second); err != nil {
					t.Error(err)
				}
				began := time.Now()
				freeze(t, s)
				if took := (<-suspect).Sub(began); took > interval-400*time.Millisecond {
					t.Errorf("frozen after %v, suspect after %v", phase*time.Second, took)
				}
				_ = s.Close(t.Context())
			})
		}
	}
}
