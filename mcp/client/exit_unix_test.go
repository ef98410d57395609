//go:build unix

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// lateTransport does something at the end of the connection, and not before: it connects, or writes
// the message of a method.
type lateTransport struct {
	sdk.Transport
	l    *link
	what string
}

func (t *lateTransport) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	if t.what == "connect" {
		<-t.l.conn.Done()
	}
	return &lateConn{c, t}, err
}

type lateConn struct {
	sdk.Connection
	t *lateTransport
}

func (c *lateConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	if req, ok := msg.(*jsonrpc.Request); ok && req.Method == c.t.what {
		<-c.t.l.conn.Done()
	}
	return c.Connection.Write(ctx, msg)
}

// However the end of a program shows in a handshake, the error tells how it ended.
func TestTheEndOfAProgramInItsHandshake(t *testing.T) {
	testkit.Processes(t)
	const (
		end      = "; echo no license >&2; exit 3"
		greeting = `read l; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18",` +
			`"capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}}}'`
		exited = "exited with code 3 before it "
	)
	for name, tt := range map[string]struct{ script, late, says string }{
		"before it is asked":         {"true" + end, "connect", exited},
		"before the question is out": {"true" + end, "initialize", exited + "answered initialize"},
		"with the question":          {"read l" + end, "", exited + "answered initialize"},
		"before the notification":    {greeting + end, codec.MethodInitialized, exited},
		"before the second question": {greeting + "; read l" + end, "tools/list", exited + "answered tools/list"},
		"with the second question":   {greeting + "; read l; read l" + end, "", exited + "answered tools/list"},
		"its input first":            {"exec <&-; sleep 0.3" + end, "", exited + "answered initialize"},
		"its output first":           {"exec >&-; sleep 0.3" + end, "", exited + "answered initialize"},
		"a helper keeps its output":  {`(trap "" TERM; sleep 60) >&2 & true` + end, "", exited + "answered initialize"},
		"it prints":                  {"echo usage: x" + end, "connect", "no MCP messages: 1 (see the log)"},
		"a signal":                   {"echo no license >&2; kill -9 $$", "connect", "was ended by SIGKILL before it "},
		"its output alone": {"echo no license >&2; exec >&-; sleep 60",
			"", "it closed its output before it answered initialize, and runs on"},
	} {
		for _, version := range []string{codec.Version20251125, codec.Version20260728} {
			for _, off := range []bool{false, true} {
				if version == codec.Version20260728 && strings.Contains(tt.script, "read") {
					continue // it is asked something else
				}
				t.Run(fmt.Sprint(name, "/", version, "/", !off), func(t *testing.T) {
					t.Parallel()
					target := Target{Name: "there", Transport: mcp.Stdio, Command: []string{"sh", "-c", tt.script}}
					o := Options{Logger: fixture.Quiet, NoFastPath: off, HandshakeTimeout: time.Minute}.WithDefaults()
					ctx, said := withNote(t.Context())
					st := &steps{}
					l, err := dial(ctx, target, o, st)
					if err == nil {
						l.transport = &lateTransport{l.transport, l, tt.late}
						_, err = open(ctx, target, o, l, version, st, said)
					}
					if err == nil {
						t.Fatal("connected")
					}
					err = explain(ctx, &target, o, l, said, st.last(), err)
					var ce *ConnectError
					says := strings.ReplaceAll(tt.says, "initialize", string(st.last())[len("answer "):])
					if errors.As(err, &ce); !strings.Contains(err.Error(), says) ||
						!strings.Contains(strings.Join(LastLines(err), " "), "no license") {
						t.Errorf("%v; last lines %q; want %q", err, LastLines(err), says)
					}
				})
			}
		}
	}
}

// A call tells how the program ended, however long something that it started keeps its pipes.
func TestTheEndOfAProgramInACall(t *testing.T) {
	testkit.Processes(t)
	const script = `read l; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{},` +
		`"serverInfo":{"name":"x","version":"1"}}}'; read l; read l; (trap "" TERM; sleep 60) >&2 & exit 3`
	for _, off := range []bool{false, true} {
		s := mustConnect(t, Target{Name: "there", Transport: mcp.Stdio, Command: []string{"sh", "-c", script}},
			Options{NoFastPath: off})
		if _, err := call(t.Context(), s, "any", nil, nil); err == nil ||
			!strings.Contains(err.Error(), "exited with code 3") {
			t.Errorf("fast path off %v: %v", off, err)
		}
	}
}
