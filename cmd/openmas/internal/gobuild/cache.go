package gobuild

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Each package has a folder of its own in the user's cache, with its program in it and a file that
// says who uses that. Beyond the newest few, and those of the last weeks, folders are removed when
// something is built, and those of a dev that was killed, but never one in use: a system that runs
// starts its child processes from there.
const (
	keepNewest = 8
	keepFor    = 30 * 24 * time.Hour
)

// generations is in the names of folders of programs of which none is of use when whoever builds
// them has ended.
const generations = "-dev-"

// prune removes what nobody needs from the folder of folders. What cannot be removed stays: another
// process may use it, or remove it at this moment.
func prune(folder string, now time.Time) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("tidy up the built programs: %w", err)
	}
	type slot struct {
		dir  string
		used time.Time
	}
	var all []slot
	for _, e := range entries {
		s := slot{dir: filepath.Join(folder, e.Name())}
		if strings.Contains(e.Name(), generations) && remove(s.dir) == nil {
			continue // it is of somebody who was killed
		}
		info, err := os.Stat(filepath.Join(s.dir, inUse))
		if err != nil {
			info, err = os.Stat(s.dir)
		}
		if err != nil || !e.IsDir() {
			continue
		}
		s.used = info.ModTime()
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b slot) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.dir, b.dir)) })
	for i, s := range all {
		if i >= keepNewest || now.Sub(s.used) > keepFor {
			_ = remove(s.dir) // see above
		}
	}
	return nil
}
