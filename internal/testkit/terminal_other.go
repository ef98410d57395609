//go:build !linux

package testkit

import (
	"errors"
	"os"
)

// openTerminal is written for Linux only.
func openTerminal() (keys, program *os.File, err error) { return nil, nil, errors.ErrUnsupported }
