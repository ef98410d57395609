// Package statedir makes the folder for what a project keeps.
package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Make makes the state folder if it does not exist, for its user alone. One that is made gets a
// file that keeps it out of git: what a run leaves beside its project file is nothing to commit.
func Make(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".gitignore"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("*\n")
	return errors.Join(err, f.Close())
}

// Moved is an error if the folder is gone that had the state folder, two levels below it as a
// project has it: whoever moved it away would find another one in its place, were the state folder
// made again.
func Moved(dir string) error {
	had := filepath.Dir(filepath.Dir(dir))
	if _, err := os.Stat(had); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the folder %s is gone, it was moved or removed: %w", had, fs.ErrNotExist)
	}
	return nil
}
