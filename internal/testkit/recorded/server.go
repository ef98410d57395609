package recorded

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A Server says what was recorded of one server, without an SDK: every byte is under control. It
// speaks protocol 2025-11-25.
type Server struct {
	// Recordings are those of one server. A list that is not among them is none of its methods. A
	// call of any tool gets the one whose number is in its argument "n", so does a prompt; a
	// resource gets the one with its URI.
	Recordings []Recording
	// Errors are the JSON-RPC errors that methods are answered with in place of a recording.
	Errors map[string]string
}

// Answer is what it says to a message; empty: nothing.
func (s *Server) Answer(message []byte) string {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			URI       string                     `json:"uri"`
			Arguments map[string]json.RawMessage `json:"arguments"`
		} `json:"params"`
	}
	if json.Unmarshal(message, &m) != nil || m.ID == nil || m.Method == "" {
		return ""
	}
	result := "{}"
	all := Of(s.Recordings, "", m.Method)
	switch {
	case m.Method == "initialize":
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{},` +
			`"completions":{}},"serverInfo":{"name":"recorded","version":"1"}}`
	case m.Method == "ping":
	case s.Errors[m.Method] != "":
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":%s}`, m.ID, s.Errors[m.Method])
	case len(all) == 0:
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, m.ID)
	case m.Method == "resources/read":
		result = all[0].Result
		for _, r := range all {
			if strings.Contains(r.Result, fmt.Sprintf(`"uri":%q`, m.Params.URI)) {
				result = r.Result
			}
		}
	default:
		n, _ := strconv.Atoi(strings.Trim(string(m.Params.Arguments["n"]), `"`)) // else it is the first
		result = all[n%len(all)].Result
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
}

// ServeStdio serves until the input ends.
func (s *Server) ServeStdio(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil //nolint:nilerr // the client is gone
		}
		if say := s.Answer(line); say != "" {
			if _, err := io.WriteString(out, say+"\n"); err != nil {
				return err
			}
		}
	}
}

// ServeHTTP implements [http.Handler]: streamable HTTP, at any path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	say := s.Answer(body)
	if say == "" {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, say) // the client may be gone
}
