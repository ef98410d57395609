//go:build !linux

package guard

import "os"

// Finds reports whether [Signal] can find anything on this platform.
const Finds = false

// Signal finds nothing on this platform.
func Signal(Mark, os.Signal, int) int { return 0 }

// Names finds nothing on this platform.
func Names(Mark) []string { return nil }

func hide() {}
