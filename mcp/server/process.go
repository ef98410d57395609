package server

import (
	"crypto/rand"
	"crypto/sha256"

	"github.com/openmas/openmas/mcp/internal/requeststate"
	"github.com/openmas/openmas/mcp/internal/schema"
	"github.com/openmas/openmas/mcp/server/internal/held"
)

// A Process is what the servers of a process share. For the calls of protocol 2026-07-28 that ask
// their clients something: how many of them may wait, 1,000, and what signs the states that clients
// carry from one request of such a call to the next. For their lists: what is known of the schemas
// of tools. It is safe for concurrent use, and there is nothing to close.
type Process struct {
	sealer  *requeststate.Sealer
	places  held.Places
	schemas schema.Checker
}

// NewProcess makes the Process of that name; states tell who made them by it. keys returns what
// signs, 32 random bytes each, at least one key and always the same: the first one signs, the
// others are accepted too. It is called when a state is made or checked, concurrently. nil is a key
// of this process alone: states of others are refused then.
func NewProcess(name string, keys func() [][]byte) *Process {
	if keys == nil {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails
		keys = func() [][]byte { return [][]byte{key} }
	}
	return &Process{sealer: requeststate.NewSealer(name, keys)}
}
