package interop

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// A row of the table that make interop ends with.
type row struct{ peer, version, direction, transport, result string }

// The directions.
const (
	theirServer = "their server, our client"
	theirClient = "their client, our server"
)

type report struct {
	mu   sync.Mutex
	rows []row
}

var rows report

// add notes how the test ends.
func (r *report) add(t *testing.T, peer, version, direction, transport string) *row {
	t.Helper()
	line := &row{peer, version, direction, transport, ""}
	t.Cleanup(func() {
		switch {
		case t.Failed():
			line.result = strings.TrimSpace("FAILED " + line.result)
		case t.Skipped():
			line.result = "SKIPPED"
		case line.result == "":
			line.result = "ok"
		case !strings.HasPrefix(line.result, "ok"):
			line.result = "ok, " + line.result
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.rows = append(r.rows, *line)
	})
	return line
}

// write writes the table to a file; nowhere when path is empty.
func (r *report) write(path string) error {
	if path == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.rows, func(a, b row) int {
		return strings.Compare(a.direction+a.peer+a.version+a.transport, b.direction+b.peer+b.version+b.transport)
	})
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PEER\tVERSION\tDIRECTION\tTRANSPORT\tRESULT")
	for _, l := range r.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.peer, l.version, l.direction, l.transport, l.result)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
