package client

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// TestSessionPing: a server that stops answering is given up, one that answers pings with an error
// is not.
func TestSessionPing(t *testing.T) {
	const unknown = `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"what?"}}` + "\n"
	for name, answers := range map[string]bool{"frozen": false, "old": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fromServer, toClient := io.Pipe()
				fromClient, toServer := io.Pipe()
				go func() {
					lines := bufio.NewScanner(fromClient)
					for lines.Scan() {
						var env wire.Envelope
						if !env.Scan(lines.Bytes()) || env.ID == nil {
							continue
						}
						switch string(env.Method) {
						case "initialize":
							fmt.Fprintf(toClient, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2024-11-05","capabilities":{},"serverInfo":{"name":"x","version":"1"}}}`+"\n", env.ID)
						case "ping":
							if answers {
								fmt.Fprintf(toClient, unknown, env.ID)
							}
						default: // the lists: it owes nothing
							fmt.Fprintf(toClient, unknown, env.ID)
						}
					}
				}()
				s, err := connectPipes(t.Context(), pipe{fromServer, toServer}, Target{}, Options{})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				select {
				case <-s.Done():
					ping := (*PingError)(nil)
					if answers || !errors.As(s.Err(), &ping) || ping.Pings != 3 || time.Since(begin) > 15*time.Second {
						t.Errorf("ended after %v: %v", time.Since(begin), s.Err())
					}
				case <-time.After(time.Hour):
					if !answers {
						t.Error("still there after an hour")
					}
				}
				if s.ProtocolVersion() != codec.Version20241105 {
					t.Errorf("protocol %s", s.ProtocolVersion())
				}
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A session that the server has forgotten ends by its pings, and its end says why.
func TestPingsThatAreRefused(t *testing.T) {
	m, _ := newMoody(t, mcp.Streamable)
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: m.URL}, Options{PingInterval: time.Millisecond})
	m.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	fixture.Receive(t, "the end of the session", s.Done())
	if !strings.Contains(s.Err().Error(), "refused the last of 3 pings") {
		t.Error(s.Err())
	}
	m.mood.Store(nil)
}

// An error in answer to a ping, but for an unknown method, is no sign of life for a session that
// the server keeps; a program that answers anything lives.
func TestSignsOfLife(t *testing.T) {
	rpc := func(code int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":ID,"error":{"code":%d,"message":"no"}}`, code)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   sign
	}{
		"a result":             {200, `{"jsonrpc":"2.0","id":ID,"result":{}}`, sign{alive: true}},
		"an unknown method":    {200, rpc(-32601), sign{alive: true}},
		"an error":             {200, rpc(-32600), sign{refused: true}},
		"404":                  {404, "", sign{refused: true}},
		"400":                  {400, "", sign{refused: true}},
		"out of order for now": {503, "", sign{}},
	} {
		t.Run(name, func(t *testing.T) {
			m, s := newMoody(t, mcp.Streamable)
			m.set(func(w http.ResponseWriter, r *http.Request) {
				var msg struct{ ID json.RawMessage }
				if err := json.NewDecoder(r.Body).Decode(&msg); err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, strings.ReplaceAll(c.body, "ID", string(msg.ID)))
			})
			got := s.probe(t.Context())
			if got.alive != c.want.alive || got.refused != c.want.refused {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			m.mood.Store(nil)
		})
	}
	target := role(t, "raw", mcp.Stdio)
	target.Env[rawVariable] = `{"initialize":"{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"protocolVersion\":` +
		`\"2025-06-18\",\"capabilities\":{},\"serverInfo\":{\"name\":\"raw\",\"version\":\"1\"}}}","ping":` +
		`"{\"jsonrpc\":\"2.0\",\"id\":ID,\"error\":{\"code\":-32600,\"message\":\"no\"}}"}`
	if got := mustConnect(t, target, Options{}).probe(t.Context()); !got.alive {
		t.Errorf("on stdio: %+v", got)
	}
}
