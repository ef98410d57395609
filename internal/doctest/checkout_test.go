package doctest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
)

// A docChecker is a clone of this repository in which the blocks of a document are run.
type docChecker struct {
	repo    string
	env     []string
	folder  string   // of repo, in which commands run
	port    string   // stands for the gateway's 8765
	other   string   // stands for the 9000 of a server that a document starts
	brokers []string // the ports of NATS servers in documents, each followed by the one that stands for it
	modules []string // folders of repo that the document wrote
	running []*running
}

// newDocChecker makes the clone of one document, which the end of its test removes.
func newDocChecker(t *testing.T) *docChecker {
	t.Helper()
	testkit.Processes(t)
	bin, err := openmas()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(work, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // by now, as the checker's programs have ended
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c := &docChecker{repo: filepath.Join(dir, "openmas"), port: freePort(t), other: freePort(t)}
	for _, p := range []string{"14222", "14223", "14224", "14232", "14233", "14234"} {
		c.brokers = append(c.brokers, p, freePort(t))
	}
	clone(t, c.repo)
	c.env = []string{
		"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOME=" + dir, "XDG_CACHE_HOME=" + filepath.Join(dir, "cache"), "LocalAppData=" + filepath.Join(dir, "cache"),
		// Without their paths, packages are compiled once for all clones, and with cgo off they
		// are those of openmas build. Linking is most of what is left, and a third of it is for
		// debuggers.
		"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -trimpath -ldflags=-w",
		"TERM=dumb", "GIT_CONFIG_GLOBAL=" + os.DevNull,
	}
	c.env = append(c.env, testkit.GoEnv(t)...)
	t.Cleanup(c.stopAll)
	return c
}

// clone makes dir a clone of this repository whose files are those of the working tree.
func clone(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "git", "clone", "-q", "--shared", "--no-checkout",
		root, dir).CombinedOutput(); err != nil {
		t.Skipf("this is no git clone, or git is missing: %v\n%s", err, out)
	}
	for _, name := range files(t) {
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(read(t, name))); err != nil {
			t.Fatal(err)
		}
	}
}

// files are those of the working tree that are or may be committed.
func files(t *testing.T) []string {
	t.Helper()
	ls := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	ls.Dir = root
	list, err := ls.Output()
	if err != nil {
		t.Skipf("this is no git clone, or git is missing: %v", err)
	}
	names := strings.Split(strings.TrimRight(string(list), "\x00"), "\x00")
	return slices.DeleteFunc(names, func(name string) bool { // deleted, and not committed yet
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return os.IsNotExist(err)
	})
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// ports counts those that were given away, from a number with which another run of these tests
// hardly begins.
var ports atomic.Uint32

// freePort is none of those that systems give to connections and to listeners without a port of
// their own: other programs get these all the time.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(int(15000 + ports.Add(1)%15000))
		ln, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port from 15000 to 29999 is free")
	return ""
}

// command prepares a program in dir, found in the checker's PATH.
func (c *docChecker) command(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	path, _, _ := strings.Cut(strings.TrimPrefix(c.env[0], "PATH="), string(filepath.ListSeparator))
	if program == "openmas" {
		program = filepath.Join(path, program)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, slices.Clone(c.env)
	return cmd
}

// write writes a file below the clone.
func (c *docChecker) write(name, text string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%s is not a path below the working folder", name)
	}
	return writeFile(filepath.Join(c.repo, filepath.FromSlash(name)), []byte(text))
}

// module makes a folder that a document wrote a module of its own, as a user's is.
func (c *docChecker) module(dir string) error {
	if !slices.Contains(c.modules, dir) {
		c.modules = append(c.modules, dir)
	}
	return c.write(dir+"/go.mod", "module example.com/"+dir+"\n\ngo 1.26.0\n")
}

// workspace joins the clone and those modules: so they see this module as it is, offline.
func (c *docChecker) workspace() error {
	text := "go 1.26.0\n\nuse .\n"
	for _, dir := range c.modules {
		text += "use ./" + dir + "\n"
	}
	return c.write("go.work", text)
}

// forget leaves a module out that does not compile.
func (c *docChecker) forget(dir string) {
	c.modules = slices.DeleteFunc(c.modules, func(m string) bool { return m == dir })
}
