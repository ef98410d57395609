// Package cgroup reads what the control groups of Linux let this process have.
package cgroup

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// Memory is how many bytes of memory this process may have: the least limit of its group and of
// those around it. It is math.MaxInt64 where there is none, or no control group.
func Memory() int64 { return memory(os.DirFS("/")) }

// memory reads version 2, and version 1 where it is mounted.
func memory(root fs.FS) int64 {
	limit := int64(math.MaxInt64)
	read := func(file string) {
		data, err := fs.ReadFile(root, file)
		if err != nil {
			return
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && n > 0 { // not "max"
			limit = min(limit, n)
		}
	}
	groups, _ := fs.ReadFile(root, "proc/self/cgroup") // without it, the root of the mount is looked at
	for line := range strings.Lines("0::/\n0:memory:/\n" + string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[1] == "memory":
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case parts[1] != "":
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) {
			read(path.Join(mount, group, file))
			if group == "/" {
				break
			}
		}
	}
	return limit
}
