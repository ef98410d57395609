package project

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// separators are those of paths: a program whose name has one is a path.
const separators = "/" + string(filepath.Separator)

// projectFiles are the names a project file has when nobody names one.
var projectFiles = []string{"openmas.yaml", filepath.Join("configs", "project.yaml")}

// Find returns the project file of a folder: openmas.yaml, else
// configs/project.yaml. When there is neither the error is a *Error.
func Find(dir string) (string, error) {
	for _, name := range projectFiles {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir():
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", &Error{Pos: Position{File: path}, Message: "cannot be read: " + cause(err)}
		}
	}
	if dir == "" || dir == "." {
		dir = "this folder"
	}
	return "", &Error{
		Message: "no project file: neither " + strings.Join(projectFiles, " nor ") + " is in " + dir,
		Hint:    "name the project file, or go to its folder; openmas init demo makes a project",
	}
}

// Path returns p as a path from the project file's folder, absolute when Dir is.
func (c *Config) Path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(c.Dir, p)
}

// StateDir returns the folder for what the project keeps. It need not exist.
func (c *Config) StateDir() string {
	return c.Path(cmp.Or(c.State, filepath.Join(".openmas", cmp.Or(c.Project, standard.Project))))
}

// cause is the reason of a file error without the path, which the position has.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// ChildDir returns the working directory of an agent's child process.
func (c *Config) ChildDir(agent string) string { return c.Path(c.Agents[agent].Dir) }

// ChildCommand returns the program and arguments of a command agent. A program named with a path
// separator is found from the project file's folder, any other in PATH.
func (c *Config) ChildCommand(agent string) []string {
	argv := slices.Clone(c.Agents[agent].Command)
	if len(argv) > 0 && strings.ContainsAny(argv[0], separators) {
		argv[0] = c.Path(argv[0])
	}
	return argv
}
