package child

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// inherited are the parent's variables that a child gets. The list is short, so that no secret of
// the parent reaches a server that does not need it.
var inherited = []string{"PATH", "HOME", "LANG", "TZ", "VIRTUAL_ENV"}

// inheritedWindows are those without which programs on Windows do not start, find no home or no
// place for temporary files.
var inheritedWindows = []string{
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP",
	"USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "NUMBER_OF_PROCESSORS",
	"PROCESSOR_ARCHITECTURE",
}

// startError is a message for users, with a cause for errors.Is that the message does not show.
type startError struct {
	msg   string
	cause error
}

func (e *startError) Error() string { return e.msg }
func (e *startError) Unwrap() error { return e.cause }

func startErrorf(cause error, format string, args ...any) error {
	return &startError{fmt.Sprintf(format, args...), cause}
}

// Find looks for the program, and returns why Start would not find it.
func (s *Spec) Find() error {
	_, err := s.command()
	return err
}

// command resolves the spec to absolute paths and checks what can be checked before anything is
// started.
func (s *Spec) command() (*exec.Cmd, error) {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return nil, errors.New("the command is empty: give the program and its arguments as a list")
	}
	for i, arg := range s.Command {
		if strings.ContainsRune(arg, 0) {
			return nil, fmt.Errorf("command: argument %d contains a NUL byte", i)
		}
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("working directory %q: %w", s.Dir, err)
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, startErrorf(fs.ErrNotExist, "working directory %s does not exist", dir)
	case err != nil:
		return nil, fmt.Errorf("working directory: %w", err)
	case !info.IsDir():
		return nil, startErrorf(syscall.ENOTDIR, "working directory %s is not a directory", dir)
	}
	env, err := environment(s.Env)
	if err != nil {
		return nil, err
	}
	path, err := lookUp(s.Command[0], dir, env)
	if err != nil {
		return nil, err
	}
	// Not exec.Command: it would look in this process's PATH and folder. The given name stays
	// argv[0], and symbolic links are not followed: both matter to programs such as a virtual
	// environment's python.
	return &exec.Cmd{Path: path, Args: s.Command, Dir: dir, Env: env}, nil
}

// environment is what the child sees: the parent's listed variables, then its own, which win.
func environment(own map[string]string) ([]string, error) {
	names := inherited
	if runtime.GOOS == "windows" {
		names = slices.Concat(inherited, inheritedWindows)
	}
	env := make([]string, 0, len(names)+len(own))
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return nil, fmt.Errorf("environment variable name %q: it must not be empty nor contain '=' or NUL", name)
		}
		if strings.ContainsRune(own[name], 0) {
			return nil, fmt.Errorf("environment variable %s: its value contains a NUL byte", name)
		}
		env = append(env, name+"="+own[name])
	}
	return env, nil
}

// lookUp finds the program: by its path, relative to dir, or in the child's PATH.
func lookUp(name, dir string, env []string) (string, error) {
	if strings.ContainsAny(name, "/"+string(filepath.Separator)) {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		// For a path, LookPath only checks that it can be executed, and on Windows adds its
		// extension.
		found, err := exec.LookPath(path)
		if err != nil {
			return "", explainLookUp(name, path, err)
		}
		return found, nil
	}

	var searched []string
	var refused error
	for _, folder := range filepath.SplitList(pathVariable(env)) {
		if !filepath.IsAbs(folder) {
			continue // as os/exec does: never run something just because it lies in the current folder
		}
		searched = append(searched, folder)
		path := filepath.Join(folder, name)
		found, err := exec.LookPath(path)
		if err == nil {
			return found, nil
		}
		if refused == nil && errors.Is(err, fs.ErrPermission) {
			refused = explainLookUp(name, path, err)
		}
	}
	if refused != nil {
		return "", refused
	}
	if len(searched) == 0 {
		return "", startErrorf(fs.ErrNotExist, "command %q not found: PATH is empty; install it, or give its path",
			name)
	}
	return "", startErrorf(fs.ErrNotExist, "command %q not found in PATH (%s): install it, or give its path",
		name, strings.Join(searched, string(filepath.ListSeparator)))
}

func pathVariable(env []string) string {
	for _, entry := range slices.Backward(env) {
		name, value, _ := strings.Cut(entry, "=")
		if name == "PATH" || runtime.GOOS == "windows" && strings.EqualFold(name, "PATH") {
			return value
		}
	}
	return ""
}

func explainLookUp(name, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return startErrorf(fs.ErrNotExist, "command %q not found: there is no %s", name, path)
	case errors.Is(err, syscall.EISDIR):
		return startErrorf(err, "command %q: %s is a directory", name, path)
	case errors.Is(err, fs.ErrPermission):
		return startErrorf(fs.ErrPermission,
			"command %q: %s is not executable: chmod +x it, or put its interpreter before it in the command", name,
			path)
	}
	return fmt.Errorf("command %q: %w", name, err)
}

// explainStart explains the kernel's refusal to start a file that is there and executable.
func explainStart(name string, cmd *exec.Cmd, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return startErrorf(err, "command %q: %s exists but does not start: the interpreter of its first line (#!) or "+
			"its loader is missing",
			name, cmd.Path)
	case errors.Is(err, syscall.ENOEXEC):
		return startErrorf(err, "command %q: %s is no program for this system: a script needs a first line such as "+
			"#!/usr/bin/env python3, "+
			"or its interpreter before it in the command", name, cmd.Path)
	}
	return fmt.Errorf("start %q: %w", name, err)
}
