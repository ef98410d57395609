package doctest

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/runtime/project"
)

// docs/project-file.md has every key of the project file, with its type, its default and its range,
// and no other.
func TestProjectFileKeys(t *testing.T) {
	full := (&project.Config{
		Agents: map[string]project.Agent{"NAME": {Type: "x", Tools: map[string]project.Tool{"TOOL": {}}},
			"URL": {URL: "x"}},
		Gateway: &project.Gateway{},
		Events:  map[string]project.Event{"TOPIC": {}},
	}).WithDefaults()
	keys := map[string]setting{}
	collect(keys, nil, reflect.ValueOf(full).Elem())
	for key, s := range maps.Clone(keys) { // one row stands for a policy on three levels
		if rest, ok := strings.CutPrefix(key, "defaults."); ok {
			for _, level := range []string{"defaults.", "agents.NAME.", "agents.URL.", "agents.NAME.tools.TOOL."} {
				delete(keys, level+rest)
			}
			keys["POLICY."+rest] = s
		}
	}
	for key, s := range maps.Clone(keys) { // what only a url has by default
		if rest, ok := strings.CutPrefix(key, "agents.URL."); ok {
			if name := "agents.NAME." + rest; keys[name].kind != "" && keys[name].value == "" {
				keys[name] = s
			}
			delete(keys, key)
		}
	}
	// which are x above
	keys["agents.NAME.type"], keys["agents.NAME.url"] = setting{kind: "text"}, setting{kind: "text"}
	for _, cells := range rows(t, "project-file.md") {
		s, ok := keys[cells[0]]
		if !ok {
			t.Errorf("%s is documented, and there is no such key", cells[0])
			continue
		}
		delete(keys, cells[0])
		if want := "`" + s.value + "`"; s.value == "" && cells[2] != "none" || s.value != "" && cells[2] != want {
			t.Errorf("%s: the default is documented as %s, and is %q", cells[0], cells[2], s.value)
		}
		if cells[1] != s.kind {
			t.Errorf("%s is documented as %s, and is %s", cells[0], cells[1], s.kind)
		}
		checkRange(t, cells[0], cells[3])
	}
	for key := range keys {
		t.Errorf("%s is not documented", key)
	}
}

// A setting is one key of the project file.
type setting struct{ kind, value string }

// unlessZero is the text of a value; nothing for one that is off.
func unlessZero[T ~int64](v T, text string) string {
	if v == 0 {
		return ""
	}
	return text
}

var kinds = map[reflect.Kind]string{reflect.String: "text", reflect.Int: "number", reflect.Float64: "factor",
	reflect.Bool: "yes or no", reflect.Slice: "list", reflect.Map: "mapping"}

// collect adds the keys below a value; maps of structs have the keys NAME and TOOL.
func collect(keys map[string]setting, path []string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v = reflect.Zero(v.Type().Elem())
		} else {
			v = v.Elem()
		}
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		keys[strings.Join(path, ".")] = setting{"duration", unlessZero(value, short(value))}
		return
	case project.Size:
		keys[strings.Join(path, ".")] = setting{"size", unlessZero(value, value.String())}
		return
	}
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("koanf"), ",")
			switch {
			case option == "squash":
				collect(keys, path, v.Field(i))
			case name != "" && name != "-":
				collect(keys, append(slices.Clone(path), name), v.Field(i))
			}
		}
	case v.Kind() == reflect.Map && v.Type().Elem().Kind() == reflect.Struct:
		for _, key := range v.MapKeys() {
			collect(keys, append(slices.Clone(path), key.String()), v.MapIndex(key))
		}
	default:
		s := setting{kind: kinds[v.Kind()]}
		if !v.IsZero() {
			s.value = fmt.Sprint(v.Interface())
		}
		keys[strings.Join(path, ".")] = s
	}
}

// short writes 10m, not 10m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var numbers = regexp.MustCompile(`\b(\d+) to (\d+)\b`)

// checkRange tries the ends of a range that the meaning of a key names.
func checkRange(t *testing.T, key, meaning string) {
	t.Helper()
	m := numbers.FindStringSubmatch(meaning)
	if m == nil {
		return
	}
	top, err := strconv.Atoi(m[2])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := writeFile(path, []byte("agents: {some: {type: some}, far: {url: http://127.0.0.1}}\n")); err != nil {
		t.Fatal(err)
	}
	set := strings.NewReplacer("agents.NAME.sessions", "agents.far.sessions", "agents.NAME", "agents.some", "POLICY",
		"defaults").Replace(key)
	load := func(n int) error {
		_, err := project.Load(path,
			project.Options{Environ: []string{}, Set: []string{fmt.Sprintf("%s=%d", set, n)}})
		return err
	}
	if m[1] != "1" || load(1) != nil || load(top) != nil || load(0) == nil || load(top+1) == nil {
		t.Errorf("%s: %s is not its range", key, m[0])
	}
}
