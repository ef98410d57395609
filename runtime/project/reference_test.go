package project

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const (
	referencePath = "../../docs/reference/project-file.md"
	schemaPath    = "../../configs/project.schema.json"
)

// An entry is a key as it is documented.
type entry struct {
	path     string // agents.NAME.timeout
	sentence string
	*key
}

// entries lists the keys of a section and below, as they are declared.
func entries(t *testing.T, said map[string]string, path string, section reflect.Type) (out []entry) {
	t.Helper()
	walk(path, section, func(path string, section reflect.Type, k *key) {
		e := entry{path: path, sentence: said[owner(section, k.index)], key: k}
		if e.sentence == "" {
			t.Errorf("%s: nothing says what it means", e.path)
		}
		out = append(out, e)
	})
	return out
}

// owner is the struct and the field that declare a key.
func owner(section reflect.Type, index []int) string {
	for ; len(index) > 1; index = index[1:] {
		section = section.Field(index[0]).Type
	}
	return section.Name() + "." + section.Field(index[0]).Name
}

// sentences reads the first paragraph of the comment of every field of this package's structs.
func sentences(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					first, _, _ := strings.Cut(f.Doc.Text(), "\n\n")
					for _, n := range f.Names {
						out[spec.Name.Name+"."+n.Name] = strings.Join(strings.Fields(first), " ")
					}
				}
			}
			return false
		})
	}
	return out
}

var (
	quoted  = regexp.MustCompile(`"([^"]+)"`)
	docFile = regexp.MustCompile(`docs/(\w+)/([\w-]+)\.md`)
)

func (e entry) defaultText() string {
	if !e.def.IsValid() {
		return ""
	}
	return valueText(e.def)
}

// meaning is the sentence, and the rest of the declaration.
func (e entry) meaning() string {
	s := quoted.ReplaceAllString(docFile.ReplaceAllString(e.sentence, "[$2](../$1/$2.md)"), "`$1`")
	var more []string
	switch {
	case e.min.IsValid() && e.max.IsValid():
		more = append(more, fmt.Sprintf("%s to %s.", valueText(e.min), valueText(e.max)))
	case e.min.IsValid():
		more = append(more, fmt.Sprintf("At least `%s`.", valueText(e.min)))
	}
	if len(e.words) > 0 {
		more = append(more, "One of `"+strings.Join(e.words, "`, `")+"`.")
	}
	if e.canOff {
		more = append(more, "Can be `off`.")
	}
	if e.only != "" {
		more = append(more, "Only for "+audiences[e.only].who+".")
	}
	return strings.TrimSpace(s + " " + strings.Join(more, " "))
}

func (e entry) row() string {
	def := "none"
	if text := e.defaultText(); text != "" {
		def = "`" + text + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", e.path, typeName(e.typ), def, e.meaning())
}

// A table stands between a comment that names its keys and an empty line.
var table = regexp.MustCompile(`(?m)(<!-- keys: (.*) -->\n\n)(?:\|.*\n)*`)

// TestReference: docs/reference/project-file.md has every key, with the text of its declaration. go
// test ./runtime/project -run Reference -update writes it.
func TestReference(t *testing.T) {
	all := entries(t, sentences(t), "", reflect.TypeFor[Config]())
	shown := map[string]bool{}
	text := mustRead(t, referencePath)
	want := table.ReplaceAllStringFunc(text, func(match string) string {
		m := table.FindStringSubmatch(match)
		var b strings.Builder
		b.WriteString(m[1] + "| key | type | default | meaning |\n|---|---|---|---|\n")
		for _, section := range strings.Fields(m[2]) {
			for _, e := range all {
				if e.path != section && !strings.HasPrefix(e.path, section+".") {
					continue
				}
				if shown[e.path] = true; e.inherit || strings.HasPrefix(e.path, "agents.NAME.tools.") ||
					strings.HasPrefix(e.path, "agents.NAME.retry") {
					continue // see POLICY
				}
				if rest, ok := strings.CutPrefix(e.path, "defaults"); ok {
					e.path = "POLICY" + rest
				}
				b.WriteString(e.row())
			}
		}
		return b.String()
	})
	for _, e := range all {
		if !shown[e.path] && e.path != "agents" && e.path != "events" {
			t.Errorf("%s is in no table", e.path)
		}
	}
	kept(t, referencePath, text, want)
}

// kept holds a file that is made from the declarations against them, or writes it.
func kept(t *testing.T, path, got, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				t.Errorf("%s:%d is not what is declared (go test ./runtime/project -update):\n got %s\nwant %s", path,
					i+1, g[i], w[i])
				return
			}
		}
		t.Errorf("%s has not the length of what is declared", path)
	}
}

// TestBounds tries the ends of every range that is declared.
func TestBounds(t *testing.T) {
	all := entries(t, sentences(t), "", reflect.TypeFor[Config]())
	project(t, map[string]string{"p.yaml": "agents: {some: {type: some}, far: {url: \"http://127.0.0.1\"}}\n" +
		"mcp: {resume: 1MiB}\ndefaults: {retry: {initial: 1ns}}\n"})
	n := 0
	for _, e := range all {
		if !e.min.IsValid() || strings.Contains(e.path, "TOOL") {
			continue
		}
		n++
		name := strings.Replace(e.path, "NAME", map[bool]string{true: "far", false: "some"}[e.only == "url"], 1)
		load := func(v any) error {
			_, err := Load("p.yaml", Options{Environ: []string{}, Set: []string{fmt.Sprintf("%s=%v", name, v)}})
			return err
		}
		if err := load(valueText(e.min)); err != nil {
			t.Errorf("%s: its least is refused: %v", e.path, err)
		}
		if less := reflect.New(e.typ).Elem(); less.CanInt() {
			if less.SetInt(e.min.Int() - 1); load(valueText(less)) == nil {
				t.Errorf("%s: less than its least is taken", e.path)
			}
		}
		if !e.max.IsValid() {
			continue
		}
		if err := load(valueText(e.max)); err != nil {
			t.Errorf("%s: its most is refused: %v", e.path, err)
		}
		if load(number(e.max)+1) == nil {
			t.Errorf("%s: more than its most is taken", e.path)
		}
	}
	if n < 6 {
		t.Errorf("only %d keys have bounds", n)
	}
}

// TestKeys: what programs are told of the keys is what is declared.
func TestKeys(t *testing.T) {
	declared := entries(t, sentences(t), "", reflect.TypeFor[Config]())
	all := Keys()
	if len(all) != len(declared) {
		t.Fatalf("%d keys, want %d", len(all), len(declared))
	}
	for i, e := range declared {
		if k := all[i]; k.Path != e.path || k.Meaning != e.sentence || k.Type == "" || k.Default != e.defaultText() {
			t.Errorf("got %+v, want %s: %q", k, e.path, e.sentence)
		}
	}
}
