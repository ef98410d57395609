package guard

import (
	"crypto/rand"
	"encoding/hex"
)

// Var is the variable in the environment of a child process, and of all that it starts, that has
// its [Mark].
const Var = "OPENMAS_PROCESS"

// A Mark tells the processes of one program, or of one of its children, from all others. The mark
// of a child is that of its program, a dot, and more.
type Mark string

func newMark() Mark {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return Mark(hex.EncodeToString(b))
}

// name is what the process of a guard is called.
const name = "om-guard"
