package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
)

func TestServersTakeTheFastPath(t *testing.T) {
	for _, off := range []bool{fixture.NoFastPath, true} {
		dir := &fixture.Crew{}
		dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
		s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: off}})
		for _, w := range everyClient() {
			t.Run(fmt.Sprintf("%s, off %v", w, off), func(t *testing.T) {
				cs := s.join(t, w, nil)
				// a round trip after the handshake, which is not answered
				if _, err := cs.ListTools(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				before := s.FastCalls()
				for range 3 {
					if res := fixture.CallTool(t, cs, "echo_say",
						fixture.Word{Word: "w"}); fixture.TextOf(res) != `{"echoed":"w"}` {
						t.Errorf("%s", fixture.MustJSON(t, res))
					}
				}
				want := int64(3)
				if off {
					want = 0
				}
				if got := s.FastCalls() - before; got != want {
					t.Errorf("%d of 3 calls took the fast path, want %d", got, want)
				}
			})
		}
	}
}

// FuzzServer sends anything between a handshake and a call, which is to be answered.
func FuzzServer(f *testing.F) {
	for _, s := range fixture.StrangeMessages {
		f.Add([]byte(s))
	}
	dir := &fixture.Crew{}
	echo := dir.Add(f, "echo", fixture.EchoCaps(fixture.NewProbe()))
	f.Fuzz(func(t *testing.T, strange []byte) {
		if len(strange) > 1<<16 || bytes.Contains(strange, []byte("probe")) || bytes.Contains(strange, []byte("wait")) {
			return
		}
		inR, inW := io.Pipe()
		outR, outW := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := ServeStdio(context.Background(), echo, inR, outW,
				Options{Logger: fixture.Quiet, NoFastPath: fixture.NoFastPath},
				Identity{Identity: agent.Identity{Trusted: len(strange)%2 == 0}, Relays: true})
			_ = outW.Close()
			_ = inR.Close()
			ended <- err
		}()
		greeted := make(chan struct{})
		go func() {
			_, _ = io.WriteString(inW, initialize+"\n")
			<-greeted
			_, _ = fmt.Fprintf(inW, "%s\n%s\n%s\n", initialized, fixture.OneLine(strange),
				`{"jsonrpc":"2.0","id":"probe","method":"tools/call","params":{"name":"say","arguments":{"word":"still"}}}`)
			_ = inW.Close() // the server answers what is in flight, and ends
		}()
		answered, said := false, ""
		for r := bufio.NewReader(outR); ; {
			line, err := r.ReadString('\n')
			if said == "" {
				close(greeted)
			}
			said += line
			if strings.Contains(line, `"probe"`) && strings.Contains(line, "still") {
				answered = true
			}
			if err != nil {
				break
			}
		}
		if err := fixture.Receive(t, "the end", ended); err != nil || !answered {
			t.Errorf("after %q the call was answered: %v; the session ended: %v; the server said %s", strange, answered,
				err, said)
		}
	})
}
