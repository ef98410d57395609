package visit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/logs"
)

// codeRequired is MCP's error for a call that needs a page to be visited first.
const codeRequired = -32042

// maxRequired is how many pages of an error are of interest, and maxLines how many lines of what a
// server says about one.
const (
	maxRequired = 10
	maxLines    = 20
)

// Required are the pages that a failed call wants to be visited before it is made again.
func Required(err error) []agent.ElicitURLRequest {
	var e *agent.Error
	if !errors.As(err, &e) {
		return nil
	}
	if code, ok := e.RPCCode(); !ok || code != codeRequired {
		return nil
	}
	var data struct {
		Elicitations []agent.ElicitURLRequest `json:"elicitations"`
	}
	if json.Unmarshal(e.Details, &data) != nil {
		return nil
	}
	return data.Elicitations[:min(len(data.Elicitations), maxRequired)]
}

// Quote is what a server says, line by line, so marked that none of it is taken for a line of ours.
// What steers a terminal is written out.
func Quote(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	more := len(lines) - maxLines
	lines = lines[:min(len(lines), maxLines)]
	for i, line := range lines {
		lines[i] = "> " + logs.Visible(strings.TrimSuffix(line, "\r"))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more lines", more))
	}
	return lines
}
