package cgroup

import (
	"math"
	"testing"
	"testing/fstest"
)

func TestMemory(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"nothing":                  {fstest.MapFS{}, math.MaxInt64},
		"no limit":                 {fstest.MapFS{"sys/fs/cgroup/memory.max": file("max\n")}, math.MaxInt64},
		"a container of version 2": {fstest.MapFS{"sys/fs/cgroup/memory.max": file("1073741824\n")}, 1 << 30},
		"a container of version 1": {fstest.MapFS{"sys/fs/cgroup/memory/memory.limit_in_bytes": file("4096\n")}, 4096},
		"a service below its slice": {fstest.MapFS{"proc/self/cgroup": file("0::/a.slice/b.service\n"),
			"sys/fs/cgroup/a.slice/memory.max":           file("8192\n"),
			"sys/fs/cgroup/a.slice/b.service/memory.max": file("16384\n")}, 8192},
		"version 1 beside other controllers": {fstest.MapFS{"proc/self/cgroup": file("3:cpu:/x\n2:memory:/x\n"),
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("12288\n"), "sys/fs/cgroup/x/memory.max": file("1\n")},
			12288},
	} {
		if got := memory(c.files); got != c.want {
			t.Errorf("%s: %d, not %d", name, got, c.want)
		}
	}
}
