//go:build unix

package gobuild

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// hold makes a folder and keeps others from removing it, for as long as the file is open in this
// process or in one that inherits it.
func hold(dir string) (*os.File, error) {
	for {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		mark := filepath.Join(dir, inUse)
		f, err := lock(mark, unix.LOCK_SH)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed just now
		}
		if err != nil {
			return nil, err
		}
		if held(f, mark) {
			return f, touch(mark)
		}
		f.Close()
	}
}

// held reports whether the file that is locked is still the one that has the name.
func held(f *os.File, name string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(name)
	return err == nil && os.SameFile(ours, theirs)
}

// remove removes a folder that nobody holds.
func remove(dir string) error {
	mark := filepath.Join(dir, inUse)
	f, err := lock(mark, unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return err
	}
	defer f.Close()
	if !held(f, mark) {
		return nil // somebody else has removed it, and what has its name now may be held
	}
	return discard(dir)
}

func lock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		switch err := unix.Flock(int(f.Fd()), how); {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
	}
}

// inherit lets the program that this process becomes hold what it holds, and its children as well.
func inherit(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
	return err
}
