//go:build !linux

package child

// SeesSuspension reports whether [Process.Suspended] can find anything out on this platform.
const SeesSuspension = false

// Suspended reports whether the program was suspended by a signal. On this platform nobody knows.
func (p *Process) Suspended() (suspended, wrapped bool) { return false, false }
