package gobuild

import "os/exec"

// together leaves the compilers that a go command has started to their end, which is near.
func together(*exec.Cmd) {}
