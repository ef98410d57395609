package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
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
}

// source is what Load remembers of where a Config came from.
type source struct {
	root *Node // every layer merged, with positions
}

var configSchema = Schema{Tag: "koanf"}

// maxErrors is how many problems are reported; nobody reads more at once.
const maxErrors = 100

// pathDelimiter cannot be part of a key: the parser refuses control characters.
const pathDelimiter = "\x00"

// Load reads a project file with its layers: defaults, the file, the profile, the
// environment, Set. Each overrides the one before, key by key; lists are replaced
// whole and null in a layer resets a key. ${env:X} and ${file:X} are expanded in every
// value. The result has its defaults and is valid. Whatever is wrong comes back as
// Errors, all of it at once.
func Load(path string, opts Options) (*Config, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Errors{{Pos: Position{File: path}, Message: "the working directory is not known: " +
			err.Error()}}
	}
	l := &loader{path: path, dir: dir, env: environment(opts.Environ)}
	l.expander = Expander{Lookup: l.lookup, Dir: dir}
	l.read(opts)
	if l.broken {
		return nil, l.errors()
	}
	cfg := l.decode()
	for _, p := range cfg.problems() {
		if !l.explained(p.Key) {
			l.problems = append(l.problems, Problem{
				Pos: p.Pos, Path: p.Key, Message: p.Message, Hint: p.Hint,
			})
		}
	}
	if len(l.problems) > 0 {
		return nil, l.errors()
	}
	return cfg, nil
}

type loader struct {
	path, dir string
	env       map[string]string
	expander  Expander
	files     []string
	layers    []*Node // the first is the project file
	problems  []Problem
	broken    bool // a file could not be read: what it says is not known
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
	if !ok && goruntime.GOOS == "windows" {
		for k, v := range l.env {
			if strings.EqualFold(k, name) {
				return v, true
			}
		}
	}
	return v, ok
}

func (l *loader) fail(pos Position, hint, format string, args ...any) {
	l.problems = append(l.problems, Problem{Pos: pos, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// read collects the layers and expands the references in them.
func (l *loader) read(opts Options) {
	l.file(l.path, false)
	if opts.Profile != "" {
		if strings.ContainsAny(opts.Profile, `/\.`) {
			l.fail(Position{}, "", "--profile %s: a profile is a plain word", opts.Profile)
		} else {
			ext := filepath.Ext(l.path)
			l.file(strings.TrimSuffix(l.path, ext)+"."+opts.Profile+ext, true)
		}
	}
	var names []string
	for name := range l.env {
		names = append(names, name)
	}
	slices.Sort(names) // so that a key comes before the keys in it
	for _, name := range names {
		path, ok, err := SplitEnv(name)
		if err != nil {
			l.fail(Position{Env: name}, "write "+EnvPrefix+"agents__NAME__timeout", "%v", err)
		} else if ok {
			l.assign(path, l.env[name], Position{Env: name})
		}
	}
	for _, arg := range opts.Set {
		path, value, err := SplitSet(arg)
		if err != nil {
			key, _, _ := strings.Cut(arg, "=") // the value may be a secret
			l.fail(Position{Set: key}, `write key=value, like agents.NAME.timeout=3s`, "%v", err)
			continue
		}
		l.assign(path, value, Position{Set: JoinPath(path)})
	}
	for _, layer := range l.layers {
		l.problems = append(l.problems, l.expander.Tree(layer)...)
	}
}

func (l *loader) assign(path []string, value string, pos Position) {
	t := configSchema.TypeAt(reflect.TypeFor[Config](), path)
	layer, problems := Assign(path, value, t, pos)
	l.layers, l.problems = append(l.layers, layer), append(l.problems, problems...)
}

// file adds a file as a layer.
func (l *loader) file(path string, profile bool) {
	pos := Position{File: path}
	l.files = append(l.files, path)
	data, err := readFile(path)
	if err != nil {
		l.broken = true
		switch info, statErr := os.Stat(path); {
		case statErr == nil && info.IsDir():
			hint := "name the project file in it"
			if found, err := Find(path); err == nil {
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
		return
	}
	node, problems := Parse(path, data)
	l.problems = append(l.problems, problems...)
	switch {
	case node == nil:
		l.broken = true
	case node.Kind == Map:
		l.layers = append(l.layers, node)
	case node.Kind == Null && profile: // a profile may be empty
	case node.Kind == Null:
		l.broken = true
		l.fail(pos, "a project needs at least one agent: agents: {NAME: {type: TYPE}}", "the file is empty")
	default:
		l.broken = true
		l.fail(node.Pos, `it starts with "project: NAME" and "agents:"`,
			`a project file is a mapping ("key: value" lines), not %s`, Describe(node.Plain()))
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// decode merges the layers, checks them and fills a Config with what is right.
func (l *loader) decode() *Config {
	root, k := l.layers[0], koanf.New(pathDelimiter)
	for i, layer := range l.layers {
		values, _ := layer.Plain().(map[string]any)
		var options []koanf.Option
		if i > 0 { // in the file itself null stays, to be reported
			options = append(options, koanf.WithMergeFunc(MergeValues))
			root.Merge(layer)
		}
		if err := k.Load(confmap.Provider(values, ""), nil, options...); err != nil {
			l.fail(Position{File: l.path}, "", "cannot merge its layers: %v", err)
		}
	}
	src := &source{root: root}
	check := Checker{Schema: configSchema, Positive: true, Show: src.show}
	clean, problems := check.Check(k.Raw(), reflect.TypeFor[Config]())
	for _, p := range problems {
		p.Pos = root.PlaceOf(p)
		l.problems = append(l.problems, p)
	}
	cfg := &Config{Dir: l.dir, File: l.path, source: src, redact: redactor(l.expander.Secrets)}
	if err := strictDecode(clean, cfg, "koanf"); err != nil {
		l.fail(Position{File: l.path}, "", "cannot be decoded: %v", err)
	}
	cfg = cfg.WithDefaults()
	cfg.redact = redactor(append(l.expander.Secrets, cfg.secrets()...))
	return cfg
}

// strictDecode fills target from what a Checker let pass.
func strictDecode(from, target any, tag string) error {
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:      target,
		TagName:     tag,
		Squash:      tag == "json", // as encoding/json does with embedded structs
		ErrorUnused: true,
		MatchName:   func(key, field string) bool { return key == field },
		DecodeHook:  mapstructure.TextUnmarshallerHookFunc(),
	})
	if err != nil {
		return err
	}
	return d.Decode(from)
}

// explained reports whether a problem found earlier lies at or under a path, so that
// one more about the path would only be its echo.
func (l *loader) explained(path []string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool {
		if len(path) == 1 && len(p.Path) == 1 && p.AtKey {
			return true // a section is missing, and there is one that nobody knows
		}
		return len(p.Path) >= len(path) && slices.Equal(p.Path[:len(path)], path)
	})
}

func (l *loader) errors() Errors {
	redact := redactor(l.expander.Secrets)
	clean := func(s string) string {
		if redact == nil {
			return s
		}
		return redact.Replace(s)
	}
	var out Errors
	for i, p := range SortProblems(l.problems, l.files) {
		if i == maxErrors {
			return append(out, &Error{Message: fmt.Sprintf("and %d more problems", len(l.problems)-i)})
		}
		out = append(out, &Error{Pos: p.Pos, Key: p.Path, Message: clean(p.Message),
			Hint: clean(p.Hint)})
	}
	return out
}

// show quotes a text for an error message, its secrets masked.
func (s *source) show(path []string, text string) string {
	if n := s.root.At(path...); n != nil && n.Masked != "" {
		text = n.Masked
	}
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	return strconv.Quote(text)
}
