package ops

import (
	"io/fs"
	"os"
	"path/filepath"
)

// places: the user's profile, which other users cannot read.
func places(name string) []string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return []string{filepath.Join(dir, name, "run")}
}

// private has nothing to check: the folders of a profile have the profile's access list.
func private(string, fs.FileInfo) error { return nil }

// checkParent makes the parent, which is in the profile as well.
func checkParent(dir string) error { return os.MkdirAll(dir, 0o700) }
