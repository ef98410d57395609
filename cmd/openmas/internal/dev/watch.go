package dev

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
)

// A stamp tells one state of a file from another. The zero value is that of a file that is not
// there.
type stamp struct {
	at   time.Time
	size int64
	file string // what the name leads to, of a file of the project, which may be a symbolic link
}

func (s stamp) same(as stamp) bool {
	return s.at.Equal(as.at) && s.size == as.size && s.file == as.file
}

// A look is what files were like at one time.
type look map[string]stamp

// A watched is what is looked at: what the program is built from, and the project file with what is
// read for it.
type watched struct {
	sources gobuild.Sources
	project []string
}

// lookAtSources reads the times and sizes of what the program is built from. New files of a package
// are among them.
func (w watched) lookAtSources() look {
	sources := look{}
	for _, dir := range w.sources.Dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // a package that is gone is noticed by who imports it
		}
		for _, e := range entries {
			name := e.Name()
			if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name[0] == '.' ||
				name[0] == '_' {
				continue
			}
			sources.add(filepath.Join(dir, name))
		}
	}
	for _, name := range w.sources.Files {
		sources.add(name)
	}
	return sources
}

// lookAtProject does it with the project file and what is read for it.
func (w watched) lookAtProject() look {
	project := look{}
	for _, name := range w.project {
		project.add(name)
		s := project[name]
		s.file, _ = filepath.EvalSymlinks(name) // one that is not there leads nowhere
		project[name] = s
	}
	return project
}

func (l look) add(name string) {
	info, err := os.Stat(name)
	if err != nil {
		l[name] = stamp{}
		return
	}
	l[name] = stamp{at: info.ModTime(), size: info.Size()}
}

// changed are the files that differ from those of an earlier look, in order.
func (l look) changed(before look) (names []string) {
	for name, s := range l {
		if was, known := before[name]; !known || !was.same(s) {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, there := l[name]; !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// since takes files that were not looked at before as they are, unless they have changed since.
func (l look) since(before look, began time.Time) look {
	known := look{}
	for name, s := range l {
		if was, seen := before[name]; seen {
			known[name] = was
		} else if s.at.Before(began) {
			known[name] = s
		} else {
			known[name] = stamp{}
		}
	}
	return known
}

// included matches a reference of the project file to another file.
var included = regexp.MustCompile(`\$\{file:([^}]+)\}`)

// projectFiles are the files of a project with those that they refer to.
func projectFiles(files []string) []string {
	all := slices.Clone(files)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it is looked at nevertheless: it may come
		}
		for _, m := range included.FindAllStringSubmatch(string(text), -1) {
			path := m[1]
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(name), path)
			}
			all = append(all, path)
		}
	}
	return all
}

// fromHere is the name of a file as a person in the working directory would write it.
func fromHere(name string) string {
	here, err := os.Getwd()
	if err != nil {
		return name
	}
	if rel, err := filepath.Rel(here, name); err == nil && fs.ValidPath(filepath.ToSlash(rel)) {
		return rel
	}
	return name
}
