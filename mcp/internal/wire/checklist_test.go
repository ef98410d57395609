package wire

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestChecklist28: a failure while a connection is set up answers 500 with JSON {"error": …}. It is
// a line of internal/checklist.
func TestChecklist28(t *testing.T) {
	for name, connect := range map[string]func(context.Context, *SSEConn) (*sdk.ServerSession, error){
		"an error": func(context.Context, *SSEConn) (*sdk.ServerSession, error) {
			return nil, errors.New("out of order")
		},
		"a panic": func(context.Context, *SSEConn) (*sdk.ServerSession, error) { panic("out of order") },
	} {
		s, err := NewSSEServer(SSEServerOptions{Connect: connect})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.Serve(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/sse", nil), nil)
		if w.Code != http.StatusInternalServerError || !strings.HasPrefix(w.Body.String(), `{"error":"`) ||
			w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
