package ops

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// folderName is the name of the folder for sockets. The places files have where it may be.
const folderName = "openmas"

// Folder is the folder for sockets, which is made where it does not exist; or why there is none.
func Folder() (string, error) { return makeFolder() }

// makeFolder makes the folder for sockets where it does not exist, and checks it. The first place
// that will do is taken.
func makeFolder() (string, error) {
	var errs []error
	for _, dir := range places(folderName) {
		err := checkParent(filepath.Dir(dir))
		if err == nil {
			if err = os.MkdirAll(dir, 0o700); err == nil {
				err = checkFolder(dir)
			}
		}
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no folder for the operations socket: %w", errors.Join(errs...))
}

// folders are those that exist, each one checked: a process may have been started with another
// environment. One that is not as it must be is in the error, and is not looked at.
func folders() (found []string, err error) {
	var errs []error
	for _, dir := range places(folderName) {
		err := checkFolder(dir)
		switch {
		case err == nil:
			found = append(found, dir)
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	return found, errors.Join(errs...)
}

// checkFolder refuses a folder that is not the user's alone.
func checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() { // a symbolic link is none: it could lead anywhere
		return fmt.Errorf("%s is no folder", dir)
	}
	return private(dir, info)
}
