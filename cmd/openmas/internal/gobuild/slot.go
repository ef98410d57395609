package gobuild

import (
	"fmt"
	"os"
	"time"
)

// inUse is the file in the folder of a program that says who uses it.
const inUse = ".in-use"

// discard removes a folder whose name somebody may take again at any time: it gets another name
// first.
func discard(dir string) error {
	gone := fmt.Sprintf("%s.gone-%d", dir, os.Getpid())
	if err := os.Rename(dir, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// touch says that a folder is used now.
func touch(mark string) error {
	now := time.Now()
	return os.Chtimes(mark, now, now)
}
