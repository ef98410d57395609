package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Options are the layers over the project file, the weakest first.
type Options struct {
	// Profile adds NAME.PROFILE.yaml beside the project file NAME.yaml. "" adds none.
	Profile string
	// Environ is the environment, as os.Environ returns it; nil means os.Environ().
	// OPENMAS_CONFIG__agents__search__timeout=3s sets one key, and ${env:X} reads it.
	Environ []string
	// Set holds key=value settings: agents.search.tools."docs.search".timeout=3s.
	Set []string
	// Text is what the project file says, where it is not to be read: a project that was built into
	// a program, whose path stands in its place. nil: it is read.
	Text []byte
	// Dir is the folder in which relative paths begin; empty: the file's.
	Dir string
}

// dir is the absolute folder in which relative paths begin.
func (o Options) dir(path string) (string, error) {
	if o.Dir == "" {
		o.Dir = filepath.Dir(path)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", Errors{{Pos: Position{File: path}, Message: "the working directory is not known: " + err.Error()}}
	}
	return dir, nil
}

// maxErrors is how many problems are reported; nobody reads more at once.
const maxErrors = 100

// Load reads a project file with its layers: defaults, the file, the profile, the environment, Set.
// Each overrides the one before, key by key; lists are replaced whole and null in a layer resets a
// key. ${env:X} and ${file:X} are expanded in every value. The result has its defaults and is
// valid. Whatever is wrong comes back as Errors, all of it at once; beside it stands what could be
// read nevertheless, or nil, for who looks for more that is wrong. That is no valid project.
func Load(path string, opts Options) (*Config, error) {
	dir, err := opts.dir(path)
	if err != nil {
		return nil, err
	}
	l := &loader{path: path, env: environment(opts.Environ), tree: newTree()}
	l.expander = expander{lookup: l.lookup, dir: dir}
	l.read(opts)
	if l.broken {
		return nil, l.errors()
	}
	l.problems = append(l.problems, l.expander.tree(nil, l.tree.root)...)
	d := decoder{keys: declared, tree: l.tree}
	c := &Config{Dir: dir, File: path, written: l.tree, expanded: l.expander.secrets}
	d.set(reflect.ValueOf(c).Elem(), l.tree.root, nil)
	l.problems = append(l.problems, d.problems...)
	c = c.filled()
	explained := l.explained()
	for _, p := range c.problems() {
		if key := strings.Join(p.Key, "\x00"); !explained[key] && !(d.unknown && len(p.Key) == 1) {
			l.problems = append(l.problems, p)
		}
	}
	if len(l.problems) > 0 {
		return c, l.errors()
	}
	return c, nil
}

// StateDir returns the folder for what the project of a file keeps, as Load would have it. It reads
// no other key but the name: who looks at what was kept may not have the secrets of the project,
// and the file may be broken by now.
func StateDir(path string, opts Options) (string, error) {
	dir, err := opts.dir(path)
	if err != nil {
		return "", err
	}
	l := &loader{path: path, env: environment(opts.Environ), tree: newTree()}
	l.expander = expander{lookup: l.lookup, dir: dir}
	l.read(opts)
	if l.broken {
		return "", l.errors()
	}
	c := Config{Dir: dir}
	for key, to := range map[string]*string{"state": &c.State, "project": &c.Project} {
		value, ok := l.tree.at(key).(*leaf)
		if !ok || value.reset {
			continue
		}
		text, ok := value.value.(string)
		if !ok {
			return "", Errors{{Pos: value.pos, Message: key + ": want a text"}}
		}
		if *to, _, err = l.expander.text(text); err != nil {
			return "", Errors{{Pos: value.pos, Message: key + ": " + err.Error()}}
		}
	}
	if c.Project != "" && !validName.MatchString(c.Project) {
		return "", Errors{{Pos: l.tree.at("project").(*leaf).pos, Message: fmt.Sprintf("project: %q is not a name",
			c.Project)}}
	}
	return c.StateDir(), nil
}

// A loader collects the layers of a project file.
type loader struct {
	path     string
	env      map[string]string
	expander expander
	files    []string
	tree     *tree
	problems []*Error
	broken   bool // a file could not be read: what it says is not known
}

func environment(environ []string) map[string]string {
	if environ == nil {
		environ = os.Environ()
	}
	out := make(map[string]string, len(environ))
	for _, kv := range environ {
		if i := strings.Index(kv, "="); i > 0 {
			out[kv[:i]] = kv[i+1:]
		}
	}
	return out
}

func (l *loader) lookup(name string) (string, bool) {
	v, ok := l.env[name]
	if !ok && runtime.GOOS == "windows" {
		for k, v := range l.env {
			if strings.EqualFold(k, name) {
				return v, true
			}
		}
	}
	return v, ok
}

func (l *loader) fail(pos Position, hint, format string, args ...any) {
	l.problems = append(l.problems, &Error{Pos: pos, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// read lays the layers over each other.
func (l *loader) read(opts Options) {
	l.file(l.path, opts.Text, false)
	if opts.Profile != "" {
		if strings.ContainsAny(opts.Profile, `/\.`) {
			l.fail(Position{}, "", "--profile %s: a profile is a plain word", opts.Profile)
		} else {
			ext := filepath.Ext(l.path)
			l.file(strings.TrimSuffix(l.path, ext)+"."+opts.Profile+ext, nil, true)
		}
	}
	for _, name := range sortedKeys(l.env) { // so that a key comes before the keys in it
		path, ok, err := splitEnv(name)
		if err != nil {
			l.fail(Position{Env: name}, "write "+envPrefix+"agents__NAME__timeout", "%v", err)
		} else if ok {
			l.assign(path, l.env[name], Position{Env: name})
		}
	}
	for _, arg := range opts.Set {
		path, value, err := splitSet(arg)
		if err != nil {
			key, _, _ := strings.Cut(arg, "=") // the value may be a secret
			l.fail(Position{Set: key}, `write key=value, like agents.NAME.timeout=3s`, "%v", err)
			continue
		}
		l.assign(path, value, Position{Set: joinPath(path)})
	}
}

func (l *loader) assign(path []string, value string, pos Position) {
	layer, problems := l.tree.assign(path, value, declared.typeAt(reflect.TypeFor[Config](), path), pos)
	l.tree.add(layer)
	l.problems = append(l.problems, problems...)
}

// file adds a file as a layer. data is what it says, if that is known.
func (l *loader) file(path string, data []byte, profile bool) {
	pos := Position{File: path}
	l.files = append(l.files, path)
	var err error
	if data == nil {
		data, err = readFile(path)
	}
	if err != nil {
		l.broken = true
		l.unreadable(pos, profile, err)
		return
	}
	v, problems := l.tree.parse(path, data)
	l.problems = append(l.problems, problems...)
	switch v := v.(type) {
	case map[string]any:
		if profile {
			resets(v)
		}
		l.tree.add(v)
	case *leaf:
		if v.value != nil {
			l.broken = true
			l.fail(v.pos, `it starts with "project: NAME" and "agents:"`,
				`a project file is a mapping ("key: value" lines), not %s`, describe(v))
			return
		}
		l.empty(pos, profile)
	case nil:
		if len(problems) > 0 {
			l.broken = true
			return
		}
		l.empty(pos, profile)
	}
}

// empty is a file that says nothing, which only a profile may.
func (l *loader) empty(pos Position, profile bool) {
	if !profile {
		l.broken = true
		l.fail(pos, "a project needs at least one agent: agents: {NAME: {type: TYPE}}", "the file is empty")
	}
}

// resets marks what a layer takes back: in the project file itself null stays, to be reported.
func resets(v any) {
	switch v := v.(type) {
	case *leaf:
		v.reset = v.value == nil
	case map[string]any:
		for _, c := range v {
			resets(c)
		}
	}
}

func (l *loader) unreadable(pos Position, profile bool, err error) {
	switch info, statErr := os.Stat(pos.File); {
	case statErr == nil && info.IsDir():
		hint := "name the project file in it"
		if found, err := Find(pos.File); err == nil {
			hint = "did you mean " + found + "?"
		}
		l.fail(pos, hint, "is a folder, not a project file")
	case profile && errors.Is(err, fs.ErrNotExist):
		l.fail(pos, "", "there is no such file for the profile")
	case errors.Is(err, fs.ErrNotExist):
		l.fail(pos, "name a project file; by default it is "+strings.Join(projectFiles, ", then "),
			"there is no such file")
	default:
		l.fail(pos, "", "cannot be read: %s", cause(err))
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// explained are the paths at or above a problem found earlier: one more about such a path would
// only be its echo.
func (l *loader) explained() map[string]bool {
	out := map[string]bool{}
	for _, p := range l.problems {
		for n := range p.Key {
			out[strings.Join(p.Key[:n+1], "\x00")] = true
		}
	}
	return out
}

func (l *loader) errors() Errors {
	clean := (&Config{redactor: replacer(l.expander.secrets)}).Redact
	out := sorted(l.problems, l.files)
	if n := len(out) - maxErrors; n > 0 {
		out = append(slices.Clip(out[:maxErrors]), &Error{Message: fmt.Sprintf("and %d more problems", n)})
	}
	for _, e := range out {
		e.Message, e.Hint = clean(e.Message), clean(e.Hint)
	}
	return out
}
