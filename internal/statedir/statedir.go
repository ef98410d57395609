// Package statedir makes the folder for what a project keeps.
package statedir

import (
	"errors"
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
