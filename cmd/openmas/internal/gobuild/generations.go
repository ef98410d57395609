package gobuild

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openmas/openmas/runtime/project"
)

// Generations builds the package of a project again and again. Each program has a file of its own,
// since earlier ones may run. One build goes on at a time; the rest is safe for concurrent use.
type Generations struct {
	dir, name string // the package, and what to call it
	folder    string
	use       *os.File
	n         int

	mu   sync.Mutex
	kept []string
	sum  [sha256.Size]byte // of the newest
}

// NewGenerations prepares for the builds of the package that cfg names.
func NewGenerations(cfg *project.Config) (*Generations, error) {
	dir, name, err := folder(cfg)
	if err != nil {
		return nil, err
	}
	programs, err := programFolder(name)
	if err != nil {
		return nil, err
	}
	g := &Generations{dir: dir, name: name, folder: filepath.Join(programs, slotOf(dir)+generations+rand.Text())}
	if g.use, err = hold(g.folder); err != nil {
		return nil, fmt.Errorf("build %s: %w", name, err)
	}
	return g, prune(programs, time.Now())
}

// Dir is the folder of the package.
func (g *Generations) Dir() string { return g.dir }

// A CompileError is what the compiler says, with names of files as they are from here.
type CompileError struct{ Text string }

// Error is the text of the compiler.
func (e *CompileError) Error() string { return e.Text }

// Build builds the package. The program is the one before it where it does not differ from that.
// What the compiler says is a *CompileError.
func (g *Generations) Build(ctx context.Context) (program string, err error) {
	goTool, err := goCommand(g.name)
	if err != nil {
		return "", err
	}
	g.n++
	exe := filepath.Join(g.folder, strconv.Itoa(g.n), filepath.Base(g.dir))
	if goruntime.GOOS == "windows" {
		exe += ".exe"
	}
	if err := os.MkdirAll(filepath.Dir(exe), 0o700); err != nil {
		return "", fmt.Errorf("build %s: %w", g.name, err)
	}
	var out bytes.Buffer
	args := []string{"build", "-buildvcs=false", "-o", exe}
	if !strings.Contains(os.Getenv("GOFLAGS"), "-ldflags") {
		// Without what a debugger needs it links sooner; without an id the same code is the same
		// file.
		args = append(args, "-ldflags=-s -buildid=")
	}
	cmd := exec.CommandContext(ctx, goTool, append(args, ".")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = g.dir, &out, &out
	together(cmd)
	cmd.WaitDelay = 2 * time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.As(err, &exit):
		noModule(ctx, g.dir, &out)
		err = &CompileError{fromHere(out.String(), g.dir)}
	case err != nil:
		if _, gone := os.Stat(g.dir); gone != nil {
			err = fmt.Errorf("the folder of the package is not there: %w", gone)
		}
		err = fmt.Errorf("build %s: %w", g.name, err)
	}
	var sum [sha256.Size]byte
	if err == nil {
		sum, err = sumOf(exe)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil || len(g.kept) > 0 && sum == g.sum {
		_ = os.RemoveAll(filepath.Dir(exe)) // Close has another try
		if err != nil {
			return "", err
		}
		return g.kept[len(g.kept)-1], nil
	}
	g.sum, g.kept = sum, append(g.kept, exe)
	return exe, nil
}

func sumOf(file string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return sum, fmt.Errorf("read the program that was built: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, fmt.Errorf("read the program that was built: %w", err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Keep removes all programs but these: nothing may start the others any more.
func (g *Generations) Keep(programs ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = slices.DeleteFunc(g.kept, func(exe string) bool {
		return !slices.Contains(programs, exe) && os.RemoveAll(filepath.Dir(exe)) == nil
	})
}

// Close removes all programs.
func (g *Generations) Close() error {
	err := g.use.Close()
	return errors.Join(err, remove(g.folder))
}
