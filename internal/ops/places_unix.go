//go:build unix

package ops

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// places are where the folder of that name may be, the best one first: in the runtime folder of the
// session, in that of the user, which a service or a job of cron is not told of, or in the folder
// for temporary files.
func places(name string) []string {
	user := strconv.Itoa(os.Geteuid())
	var all []string
	add := func(dir string) {
		if filepath.IsAbs(dir) && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		add(filepath.Join(dir, name))
	}
	if dir := filepath.Join("/run/user", user); exists(dir) {
		add(filepath.Join(dir, name))
	}
	for _, dir := range []string{os.TempDir(), "/tmp"} {
		add(filepath.Join(dir, name+"-"+user))
	}
	return all
}

func exists(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// private refuses a folder of somebody else, or one that others can enter.
func private(dir string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user %d, and not to you", dir, st.Uid)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has the mode %#o: others can enter it; remove it, or set its mode to 0700", dir, mode)
	}
	return nil
}

// checkParent refuses a folder in which others could put something else in the place of ours.
func checkParent(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to the user %d", dir, st.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("%s has the mode %#o: others can move what is in it", dir, info.Mode().Perm())
	}
	return nil
}
