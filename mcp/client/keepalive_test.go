package client

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// TestSessionPing: a server that stops answering is given up, one that answers pings with an error
// is not.
func TestSessionPing(t *testing.T) {
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
								fmt.Fprintf(toClient, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"what?"}}`+"\n", env.ID)
							}
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
					if answers || !strings.Contains(s.Err().Error(), "3 pings") || time.Since(begin) > 2*time.Minute {
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
