// Package ops is where the processes of a project are operated: each one that runs listens on an
// operations socket of its own, where the user who runs it, and nobody else, has everything: all
// agents, exposed or not, and the runtime as the agent openmas with all its tools. The protocol is
// MCP over HTTP, as on the gateway.
//
// The sockets are in a folder of the user that nobody else can enter, never in the project's: an
// agent that serves files could read it there. Who may pass that folder is the same user (or root),
// so the peer's credentials would say nothing more. Both sides check the folder: whoever listens,
// so that nobody else can connect; and whoever connects, so that nobody else can listen in the
// place of a process. Where there are no such sockets (Windows), the folder has a file for each
// process with an address on loopback and a token.
package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/openmas/openmas/agent"
)

// Operator is who calls over an operations socket: whoever runs the system.
var Operator = agent.Identity{Agent: "openmas", Trusted: true}

// suffix ends the names of sockets.
const suffix = ".sock"

// withFiles: the system has no Unix sockets that all its programs know, so there are files that
// hold an address and a token.
const withFiles = runtime.GOOS == "windows"

// An address is the content of a file in the place of a socket.
type address struct {
	Addr  string `json:"addr"`
	Token string `json:"token"`
}

// A Project is what the processes of one project have in common: the file that they were started
// with. It is the beginning of the names of their sockets.
type Project string

// ProjectOf returns the project of a project file, by whatever path it is named. The file must
// exist.
func ProjectOf(file string) (Project, error) {
	path, err := filepath.Abs(file)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("find the project file: %w", err)
	}
	sum := sha256.Sum256([]byte(path))
	return Project(hex.EncodeToString(sum[:8])), nil
}

// file is the name of a process's socket in the folder.
func (p Project) file(process string) string { return string(p) + "." + process + suffix }
