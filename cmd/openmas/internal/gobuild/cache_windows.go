package gobuild

import (
	"os"
	"path/filepath"
)

// hold makes a folder. Windows itself keeps a program that runs, and the folder that it is in, from
// being removed or renamed.
func hold(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	mark := filepath.Join(dir, inUse)
	f, err := os.OpenFile(mark, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return f, touch(mark)
}

// remove removes a folder, unless a program in it runs or a file in it is open.
func remove(dir string) error { return discard(dir) }
