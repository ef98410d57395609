package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxSecret bounds a file that ${file:…} names.
const maxSecret = 1 << 20

// mask stands for a secret wherever a value is shown.
const mask = "***"

// An expander replaces ${env:NAME} and ${file:PATH} in the scalars of a tree, after
// parsing, so that no value can change the shape of the file. $${ is a literal ${.
type expander struct {
	lookup  func(name string) (string, bool) // an environment variable
	dir     string                           // what PATH is relative to
	secrets []string                         // every value that was put in
}

// tree expands every text in a value, in place. A text that cannot be expanded is taken out, so
// that its problem is the only one reported.
func (e *expander) tree(path []string, v any) (problems []*Error) {
	switch v := v.(type) {
	case map[string]any:
		for name, c := range v {
			found := e.tree(append(path, name), c)
			if l, ok := c.(*leaf); ok && len(found) > 0 && !l.isList() {
				delete(v, name)
			}
			problems = append(problems, found...)
		}
	case *leaf:
		if items, ok := v.value.([]any); ok {
			for i, c := range items {
				problems = append(problems, e.tree(append(path, item(i)), c)...)
			}
			return problems
		}
		s, ok := v.value.(string)
		if !ok || !strings.Contains(s, "${") {
			return nil
		}
		clear, masked, err := e.text(s)
		if err != nil {
			var unset unsetError
			e := &Error{Pos: v.pos, Key: slices.Clone(path), Message: fmt.Sprintf("%s: %v", joinPath(path), err)}
			switch {
			case errors.As(err, &unset):
				e.Hint = fmt.Sprintf("set it where openmas is started: export %s=VALUE", string(unset))
			case errors.Is(err, fs.ErrNotExist):
				e.Hint = "the path begins in the folder of the project file"
			}
			return []*Error{e}
		}
		if v.value = clear; masked != clear {
			v.masked = masked
		}
	}
	return problems
}

// text expands one text. masked is the same with *** for what was put in.
func (e *expander) text(s string) (clear, masked string, err error) {
	var c, m strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			c.WriteString(s)
			m.WriteString(s)
			return c.String(), m.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			c.WriteString(s[:i-1] + "${")
			m.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		c.WriteString(s[:i])
		m.WriteString(s[:i])
		ref, rest, ok := strings.Cut(s[i+2:], "}")
		if !ok {
			return "", "", fmt.Errorf("${ without a closing }; write $${ for a literal ${")
		}
		value, err := e.resolve(ref)
		if err != nil {
			return "", "", err
		}
		if c.WriteString(value); value != "" {
			m.WriteString(mask)
			e.secrets = append(e.secrets, value)
		}
		s = rest
	}
}

// An unsetError names an environment variable that is not there.
type unsetError string

func (e unsetError) Error() string {
	return fmt.Sprintf("the environment variable %s is not set", string(e))
}

// A missingError names a file that is not there.
type missingError struct{ path string }

func (e *missingError) Error() string {
	return fmt.Sprintf("${file:%s}: there is no such file", e.path)
}

func (e *missingError) Unwrap() error { return fs.ErrNotExist }

func (e *expander) resolve(ref string) (string, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch {
	case kind == "env" && name != "":
		if v, ok := e.lookup(name); ok {
			return v, nil
		}
		return "", unsetError(name)
	case kind == "file" && name != "":
		return e.file(name)
	}
	return "", fmt.Errorf("unknown reference ${%s}; there are ${env:NAME} and ${file:PATH}, and $${ is a literal ${",
		ref)
}

// file reads a secret from a file, less one newline at its end.
func (e *expander) file(name string) (string, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.dir, path)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &missingError{name}
	case err != nil:
		return "", fmt.Errorf("${file:%s}: %w", name, err)
	}
	if !info.Mode().IsRegular() { // a pipe would block for ever
		return "", fmt.Errorf("${file:%s}: %s is not a regular file", name, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("${file:%s}: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("${file:%s}: %w", name, err)
	case len(data) > maxSecret:
		return "", fmt.Errorf("${file:%s}: larger than %d MiB", name, maxSecret>>20)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
