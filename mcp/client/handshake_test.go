package client

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/mcp"
)

// The time of a handshake does not count while the program reports that it is being built, which it
// may do once.
func TestBuildingIsNoHandshake(t *testing.T) {
	const d = 10 * time.Second
	type says struct {
		at   time.Duration
		line string
	}
	for name, c := range map[string]struct {
		said []says
		end  time.Duration
	}{
		"nothing":        {nil, d},
		"something else": {[]says{{time.Second, "building castles"}, {2 * time.Second, mcp.Built + "x"}}, d},
		"built": {[]says{{time.Second, mcp.Building + "x"}, {time.Minute, mcp.Built + "x"}},
			time.Minute + d},
		"twice": {[]says{{time.Second, mcp.Building + "x"}, {time.Minute, mcp.Built + "x"},
			{time.Minute + time.Second, mcp.Building + "x"}}, time.Minute + d},
		"building and no end": {[]says{{time.Second, mcp.Building + "x"}, {time.Minute, mcp.Building + "x"}},
			time.Second + maxBuild},
		"too late": {[]says{{d + time.Second, mcp.Building + "x"}}, d},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var heard atomic.Int32
				target := Target{Command: []string{"x"}, Stderr: func([]byte) { heard.Add(1) }}
				began := time.Now()
				ctx, cancel := handshakeContext(t.Context(), &target, d)
				defer cancel()
				for _, s := range c.said {
					time.AfterFunc(s.at, func() { target.Stderr([]byte(s.line)) })
				}
				<-ctx.Done()
				if took := time.Since(began); took != c.end || !errors.Is(context.Cause(ctx), errHandshake) {
					t.Errorf("after %v: %v; want %v", took, context.Cause(ctx), c.end)
				}
				<-time.After(2 * d)
				if heard := int(heard.Load()); heard != len(c.said) {
					t.Errorf("%d of %d lines were passed on", heard, len(c.said))
				}
			})
		})
	}
}

func TestConnectToWhatIsBuilt(t *testing.T) {
	mustCall(t, mustConnect(t, role(t, "built", mcp.Stdio), Options{HandshakeTimeout: buildTime / 2}), "echo", nil,
		nil)
}

// A handshake that fails is told at once: nothing is in flight that it should wait for.
func TestAFailedHandshakeIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r1, w1 := io.Pipe()
		r2, w2 := io.Pipe()
		server := newRaw(map[string]string{"tools/list": `{"error":{"code":-32000,"message":"no database"}}`})
		server.serveOn(pipe{r2, w1})
		began := time.Now()
		s, err := connectPipes(t.Context(), pipe{r1, w2}, Target{Name: "raw"}, Options{})
		if s != nil || err == nil || !strings.Contains(err.Error(), "no database") {
			t.Error(s, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}
