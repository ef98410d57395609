package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// theirWalk is the SDK's own server with the tool of steps, whose streams can be resumed.
func theirWalk(t *testing.T, a *steps) http.Handler {
	s := sdk.NewServer(&sdk.Implementation{Name: "s"}, nil)
	s.AddTool(&sdk.Tool{Name: "agent_walk", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			progress := func(n int) {
				if err := r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
					ProgressToken: r.Params.GetProgressToken(), Progress: float64(n), Total: 5}); err != nil {
					t.Error(err)
				}
			}
			progress(1)
			a.said <- true
			<-a.on
			for i := range 4 {
				progress(i + 2)
			}
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "walked to town"}}}, nil
		})
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s },
		&sdk.StreamableHTTPOptions{EventStore: sdk.NewMemoryEventStore(nil)})
}

// beginStream: a stream that a client comes back for is that of the SDK alone, but that it begins
// at once.
func TestAResumedStreamIsTheSDKs(t *testing.T) {
	a, dir := newSteps(), &fixture.Crew{}
	dir.Add(t, "agent", a.caps())
	theirs := httptest.NewServer(theirWalk(t, a))
	t.Cleanup(func() { theirs.CloseClientConnections(); theirs.Close() })
	ours := newSite(t, dir, resumable(1<<20))
	seen := map[string][]string{}
	for name, s := range map[string]*site{"ours": ours, "theirs": {url: theirs.URL}} {
		r := s.rawSession(t, codec.Version20251125)
		st := r.open("POST", walk(7))
		if got := st.next(); got != "progress 1" {
			t.Fatalf("%s: %q", name, got)
		}
		fixture.Receive(t, "the call", a.said)
		st.cut()
		at := st.LastID
		// The SDK's server may not have noticed yet that the client is gone.
		testkit.Eventually(t, "the stream is free", func() bool {
			begun := make(chan *rawStream, 1)
			go func() { begun <- r.open("GET", "", codec.LastEventHeader, at) }()
			select {
			case st = <-begun:
				if st.status == http.StatusConflict {
					return false
				}
				a.on <- true
			case <-time.After(200 * time.Millisecond):
				if name == "ours" {
					t.Error("the stream does not begin before there is something on it")
				}
				a.on <- true
				st = <-begun
			}
			return true
		})
		events := []string{fmt.Sprint(st.status)}
		for {
			event, data, err := st.Next()
			if err != nil {
				break
			}
			_, index, _ := strings.Cut(st.LastID, "_")
			events = append(events, fmt.Sprintf("%s %s %s", event, index, canonical(t, data)))
		}
		seen[name] = events
		if status, _, body := send(t, "DELETE", r.url, r.header, ""); status != http.StatusNoContent {
			t.Error(status, body)
		}
	}
	if !slices.Equal(seen["ours"], seen["theirs"]) || len(seen["ours"]) != 6 {
		t.Errorf("ours is\n%s\nand that of the SDK\n%s", strings.Join(seen["ours"], "\n"),
			strings.Join(seen["theirs"], "\n"))
	}
}

// canonical is JSON with its members in order.
func canonical(t *testing.T, data []byte) string {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Errorf("%s: %v", data, err)
	}
	return fixture.MustJSON(t, v)
}
