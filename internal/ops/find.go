package ops

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// An Endpoint is the operations socket of a process that runs.
type Endpoint struct {
	Process string
	PID     int // 0: not known on this platform
	socket  string
	address // in the place of a socket
}

// Suspended reports whether the process was suspended by a signal (SIGSTOP, or SIGTSTP of Ctrl-Z):
// it does nothing until it gets SIGCONT.
// Where the platform does not tell, it is false.
func (e Endpoint) Suspended() bool { return e.PID != 0 && suspended(e.PID) }

// dialTimeout bounds the look at one socket. Even a process that is stopped accepts connections.
const dialTimeout = time.Second

// Find returns the processes of a project that run, in no order, and removes what dead ones have
// left. The error names folders that are not safe to look at, and what was found elsewhere comes
// with it.
func Find(ctx context.Context, p Project) ([]Endpoint, error) {
	dirs, err := folders()
	var found []Endpoint
	for _, dir := range dirs {
		files, readErr := os.ReadDir(dir)
		err = errors.Join(err, readErr)
		for _, f := range files {
			process := strings.TrimSuffix(strings.TrimPrefix(f.Name(), string(p)+"."), suffix)
			if p.file(process) != f.Name() {
				continue
			}
			if e, ok := look(ctx, filepath.Join(dir, f.Name()), withFiles); ok {
				e.Process = process
				found = append(found, e)
			}
		}
	}
	return found, err
}

// look reports whether a process listens. What a dead one has left is removed.
func look(ctx context.Context, path string, file bool) (e Endpoint, alive bool) {
	network, addr := "unix", path
	if e.socket = path; file {
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &e.address) != nil {
			return e, false
		}
		e.socket = ""
		network, addr = "tcp", e.Addr
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
	if err == nil {
		e.PID = peer(conn)
		_ = conn.Close() // nothing was sent
		return e, true
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path) // somebody else may have
	}
	return e, false
}

const (
	// maxSwept bounds the sockets that a start looks at, and maxSweep how long it does.
	maxSwept = 500
	maxSweep = time.Second
)

// sweep removes what dead processes have left in a folder. What cannot be removed stays.
func sweep(ctx context.Context, dir string, file bool) {
	ctx, cancel := context.WithTimeout(ctx, maxSweep)
	defer cancel()
	files, err := os.ReadDir(dir)
	if err != nil {
		return // whoever listens there finds out
	}
	for _, f := range files[:min(len(files), maxSwept)] {
		if ctx.Err() != nil {
			return
		}
		if strings.HasSuffix(f.Name(), suffix) {
			look(ctx, filepath.Join(dir, f.Name()), file)
		}
	}
}

// Target is the way to the runtime of the process, the agent openmas, whose tools have their own
// names there; or with agents to all agents, as on the gateway.
func (e Endpoint) Target(agents bool) client.Target {
	path := mcp.StreamableEndpoint
	if !agents {
		path = "/agents/" + Operator.Agent + path
	}
	t := client.Target{Name: "openmas", Transport: mcp.Streamable, Trusted: true, Socket: e.socket,
		URL: "http://localhost" + path}
	if e.socket == "" {
		t.URL, t.Headers = "http://"+e.Addr+path, map[string]string{"Authorization": "Bearer " + e.Token}
	}
	return t
}
