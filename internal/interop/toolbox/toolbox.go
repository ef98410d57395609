// Package toolbox installs what the interop tests talk to, in pinned versions, in a cache folder
// outside the checkout: ${XDG_CACHE_HOME:-$HOME/.cache}/openmas/interop.
package toolbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Missing error says which program the machine would need.
type Missing struct{ Program, Why string }

func (m *Missing) Error() string {
	return fmt.Sprintf("%s is not usable here (%s): install it to run this part of the interop tests", m.Program, m.Why)
}

// A Tool is one folder of installed software.
type Tool struct {
	name    string
	pins    [][]byte // whatever changes them makes another folder
	install func(ctx context.Context, dir string, note note) error
}

// A note is told what goes on.
type note func(what string)

// Name says what the tool is, with its version.
func (t *Tool) Name() string { return t.name }

// Dir is where the tool is or will be; a folder for each set of pins.
func (t *Tool) Dir() (string, error) {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("the cache folder: %w", err)
		}
		cache = filepath.Join(home, ".cache")
	}
	sum := sha256.Sum256(append(bytes.Join(t.pins, []byte{0}), t.name...))
	folder := strings.NewReplacer(" ", "-", "@", "", "/", "-").Replace(t.name) + "-" + hex.EncodeToString(sum[:4])
	return filepath.Join(cache, "openmas", "interop", folder), nil
}

// Installed is the tool's folder; ok is false when it is not there yet. A folder is complete or
// absent.
func (t *Tool) Installed() (dir string, ok bool) {
	dir, err := t.Dir()
	if err != nil {
		return "", false
	}
	_, err = os.Stat(dir)
	return dir, err == nil
}

// Install puts the tool in its folder, unless it is there; note is told what goes on. A [*Missing]
// error: the machine lacks a program for it. It may run in several processes at once: the first to
// end wins.
func (t *Tool) Install(ctx context.Context, note func(string)) error {
	dir, err := t.Dir()
	if err != nil {
		return err
	}
	if _, ok := t.Installed(); ok {
		note("here")
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("install %s: %w", t.name, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".installing-")
	if err != nil {
		return fmt.Errorf("install %s: %w", t.name, err)
	}
	defer func() { _ = os.RemoveAll(work) }() // it is the folder itself by then, unless something failed
	note("installing ...")
	start := time.Now()
	if err := t.install(ctx, work, note); err != nil {
		return fmt.Errorf("install %s: %w", t.name, err)
	}
	if err := os.Rename(work, dir); err != nil {
		if _, ok := t.Installed(); !ok {
			return fmt.Errorf("install %s: %w", t.name, err)
		}
	}
	note(fmt.Sprintf("installed in %s", time.Since(start).Round(time.Second)))
	return nil
}

// run runs an installer and shows what it said only when it fails.
func run(ctx context.Context, dir string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, said)
	}
	return nil
}

// need finds a program that has to be there.
func need(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		why := err.Error()
		if errors.Is(err, exec.ErrNotFound) {
			why = "not in PATH"
		}
		return "", &Missing{program, why}
	}
	return path, nil
}
