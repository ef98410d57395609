package doctest

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

// row is a line of a table: its cells.
var row = regexp.MustCompile(`(?m)^\| (.+) \|$`)

// rows are the lines of a document's tables whose first cell is code, cell by cell.
func rows(t *testing.T, document string) [][]string {
	t.Helper()
	var out [][]string
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/"+document), -1) {
		if cells := strings.Split(m[1], " | "); strings.HasPrefix(cells[0], "`") {
			cells[0] = strings.Trim(cells[0], "`")
			out = append(out, cells)
		}
	}
	return out
}

// docs/project-file.md has every key of the project file, with its type, its default and its range,
// and no other.
func TestProjectFileKeys(t *testing.T) {
	full := (&runtime.Config{
		Agents: map[string]runtime.AgentConfig{"NAME": {Type: "x", Tools: map[string]runtime.ToolConfig{"TOOL": {}}},
			"URL": {URL: "x"}},
		Gateway: &runtime.GatewayConfig{},
		Events:  map[string]runtime.EventConfig{"TOPIC": {}},
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
	case runtime.Size:
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
		_, err := runtime.Load(path,
			runtime.LoadOptions{Environ: []string{}, Set: []string{fmt.Sprintf("%s=%d", set, n)}})
		return err
	}
	if m[1] != "1" || load(1) != nil || load(top) != nil || load(0) == nil || load(top+1) == nil {
		t.Errorf("%s: %s is not its range", key, m[0])
	}
}

// docs/errors.md has every code, and no other.
func TestErrorCodes(t *testing.T) {
	var documented []agent.Code
	for _, cells := range rows(t, "errors.md") {
		documented = append(documented, agent.Code(cells[0]))
	}
	if !slices.Equal(documented, agent.Codes()) {
		t.Errorf("documented are %v, and there are %v", documented, agent.Codes())
	}
}

var update = flag.Bool("update", false, "write the help of the commands into docs/cli.md anew")

var help = regexp.MustCompile("(?s)(```console\\n\\$ openmas ((?:[a-z-]+ )*)--help\\n).*?(\\n```)")

// docs/cli.md shows the help of every command; that it is shown as it is, TestDocs sees. go test
// -run Commands -update ./internal/doctest writes it.
func TestCommandsAreDocumented(t *testing.T) {
	path := filepath.Join(root, "docs", "cli.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		text = help.ReplaceAllFunc(text, func(shown []byte) []byte {
			m := help.FindSubmatch(shown)
			now, err := exec.CommandContext(t.Context(), "go",
				slices.Concat([]string{"run", "../../cmd/openmas"}, strings.Fields(string(m[2])),
					[]string{"--help"})...).Output()
			if err != nil {
				t.Fatal(err)
			}
			return slices.Concat(m[1], bytes.TrimRight(now, "\n"), m[3])
		})
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, list, _ := strings.Cut(string(text), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	n := 0
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if n++; name != "help" && !strings.Contains(string(text), "\n$ openmas "+name+" --help\n") {
			t.Errorf("docs/cli.md does not show the help of %s", name)
		}
	}
	if n < 6 {
		t.Errorf("docs/cli.md lists %d commands", n)
	}
}

// The README is short, and names the commands of a newcomer.
func TestReadme(t *testing.T) {
	text := read(t, "README.md")
	if n := strings.Count(text, "\n"); n > 130 {
		t.Errorf("it has %d lines: more than two screens", n)
	}
	for _, want := range []string{"`make test`", "$ make run\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %s", want)
		}
	}
}

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([\w/.-]*)(?:#([\w-]+))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug  = regexp.MustCompile(`[^\w -]`)
)

// Every link between the documents leads somewhere.
func TestLinks(t *testing.T) {
	for _, name := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			target := name
			if m[1] != "" {
				target = path.Join(path.Dir(name), m[1])
			}
			text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(target)))
			if err != nil {
				t.Errorf("%s: %s leads nowhere: %v", name, m[0], err)
				continue
			}
			slugs := []string{""}
			for _, h := range heading.FindAllStringSubmatch(string(text), -1) {
				slugs = append(slugs, strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
			}
			if !slices.Contains(slugs, m[2]) {
				t.Errorf("%s: %s: there is no such heading", name, m[0])
			}
		}
	}
}

// The examples are to be read: hello in a minute, each agent of the review crew on two screens.
func TestExamplesAreShort(t *testing.T) {
	most := map[string]int{"hello/main.go": 40, "hello/openmas.yaml": 10}
	for _, name := range []string{"collector", "complexity", "linter", "historian", "editor"} {
		most["review/"+name+".go"] = 120
	}
	for name, limit := range most {
		n := 0
		for line := range strings.Lines(read(t, "examples/"+name)) {
			if strings.TrimSpace(line) != "" || strings.HasPrefix(name, "review") {
				n++
			}
		}
		if n > limit {
			t.Errorf("%s has %d lines, more than %d", name, n, limit)
		}
	}
}
