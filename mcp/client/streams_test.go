package client

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
)

// The answer to a call comes on a stream that stays open, as odd servers write it: it is read, or
// the call fails at once with the cause.
func TestOddStreams(t *testing.T) {
	const answer = `{"jsonrpc":"2.0","id":$id,"result":{"content":[{"type":"text","text":"fine"}]}}`
	for name, tt := range map[string]struct {
		stream   string // with $id for the request's id
		encoding string
		code     agent.Code // empty: it is answered
		want     string
	}{
		"lone carriage returns": {"event: message\rdata: " + answer + "\r\r", "", "", ""},
		"mixed line ends":       {"event: message\r\ndata: " + answer + "\r\n\r", "", "", ""},
		"a byte order mark":     {"\xef\xbb\xbfdata: " + answer + "\n\n", "", "", ""},
		"a mark in the data":    {"data: \xef\xbb\xbf" + answer + "\n\n", "", "", ""},
		"gzip":                  {"data: " + answer + "\n\n", "gzip", "", ""},
		"no gzip": {"!data: " + answer + "\n\n", "gzip", agent.CodeOutcomeUnknown,
			"decompress the answer: gzip: invalid header"},
		"br": {"!data: " + answer + "\n\n", "br", agent.CodeOutcomeUnknown, "the content encoding br, which was not " +
			"asked for: does a proxy compress it?"},
		"an error event": {"event: error\ndata: out of memory\n\n", "", agent.CodeOutcomeUnknown,
			`the server sent an event named error: "out of memory"`},
		"an error event with an id": {"id: 1\nevent: error\ndata: out of memory\n\n", "", agent.CodeOutcomeUnknown,
			`the server sent an event named error: "out of memory"`},
		"an error event that is the answer": {"event: error\ndata: " + answer + "\n\n", "", "", ""},
		"the wrong id": {"id: 1\ndata: " + strings.ReplaceAll(answer, "$id", "987654") + "\n\n", "",
			agent.CodeOutcomeUnknown, "the answer has an id that no request has: 987654"},
		"a batch with another": {"data: [" + strings.ReplaceAll(answer, "$id", "987654") + "," + answer + "]\n\n", "",
			"", ""},
	} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, !off), func(t *testing.T) {
				t.Parallel()
				r := newRaw(map[string]string{"tools/call": "=" + tt.stream})
				ended := make(chan struct{})
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					body, err := io.ReadAll(req.Body)
					text := r.answer(body)
					switch {
					case err != nil:
						t.Error(err)
					case req.Method != http.MethodPost:
						w.WriteHeader(http.StatusMethodNotAllowed)
					case !strings.Contains(string(body), `"tools/call"`):
						w.Header().Set("Content-Type", "application/json")
						_, _ = io.WriteString(w, text)
					default:
						w.Header().Set("Content-Type", "text/event-stream")
						var out io.Writer = w
						if tt.encoding != "" {
							w.Header().Set("Content-Encoding", tt.encoding)
						}
						if plain, ok := strings.CutPrefix(text, "!"); ok {
							text = plain
						} else if tt.encoding == "gzip" {
							z := gzip.NewWriter(w)
							defer z.Flush()
							out = z
							_, _ = io.WriteString(z, text)
							_ = z.Flush()
							text = ""
						}
						_, _ = io.WriteString(out, text)
						_ = http.NewResponseController(w).Flush()
						select { // the stream stays open
						case <-ended:
						case <-req.Context().Done():
						}
					}
				}))
				t.Cleanup(func() { close(ended); srv.CloseClientConnections(); srv.Close() })
				s := mustConnect(t, Target{Name: "raw", Transport: mcp.Streamable, URL: srv.URL},
					Options{NoFastPath: off, Logger: fixture.Quiet})
				if tt.code == "" {
					if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
						t.Error(got)
					}
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
				defer cancel()
				_, err := call(ctx, s, "good", nil, nil)
				if e := fixture.WantError(t, err, tt.code, false); !strings.Contains(e.Message, tt.want) {
					t.Errorf("got %v, want %s", e, tt.want)
				}
				if s.Err() != nil {
					t.Errorf("the session ended: %v", s.Err())
				}
			})
		}
	}
}

// Notices that were dropped are told once, with their number and the bound.
func TestDroppedNoticesAreTold(t *testing.T) {
	const burst = 20_000
	for _, off := range []bool{false, true} {
		log := &testkit.Buffer{}
		text := "=" + strings.Repeat(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"om-1",`+
			`"progress":1}}`+"\n", burst) + `{"jsonrpc":"2.0","id":$id,"result":{"content":[]}}`
		s := newRaw(map[string]string{"tools/call": text}).stdio(t,
			Options{NoFastPath: off, Logger: slog.New(slog.NewTextHandler(log, nil))})
		got := 0
		_, err := s.Call(t.Context(), &agent.Call{ID: "c", Op: agent.OpTool, Agent: "raw", Name: "good", Attempt: 1,
			Back: noticed(func(agent.Notice) {
				if b := s.backs.byProgress("om-1"); got == 0 && b != nil {
					testkit.Eventually(t, "a full queue", func() bool { return b.notices.Lost() > 0 })
				}
				got++
			})})
		want := fmt.Sprintf("call=c dropped=%d limit=%d", burst-got, maxNotices)
		if err != nil || strings.Count(log.String(), "were dropped") != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("fast path off %v: %v; %d came; want %q:\n%s", off, err, got, want, log)
		}
	}
}
