package project

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// object is a JSON object.
type object = map[string]any

// reference is what a text is that stands for another.
const reference = `\$\{(env|file):`

// schemaOf makes the JSON schema of a section from what is declared.
func schemaOf(said map[string]string, t reflect.Type, definitions object) object {
	properties := object{}
	for i := range declared.section(t).keys {
		e := entry{sentence: said[owner(t, declared.section(t).keys[i].index)], key: &declared.section(t).keys[i]}
		p := valueSchema(said, e.typ, e.key, definitions)
		if e.canOff {
			p = object{"anyOf": []any{p, object{"const": offText}}}
		}
		p["description"] = e.sentence
		if e.def.IsValid() && !e.inherit {
			p["default"] = e.defaultText()
			n := reflect.Indirect(e.def)
			if n.Kind() == reflect.Bool || isQuantity(n.Type()) && n.Type().PkgPath() == "" {
				p["default"] = n.Interface()
			}
		}
		properties[e.name] = p
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

func valueSchema(said map[string]string, t reflect.Type, k *key, definitions object) object {
	switch typeName(t) {
	case "duration":
		return object{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|` + reference}
	case "size":
		return object{"type": []string{"string", "integer"}, "pattern": `^[0-9]+ *(B|KiB|MiB|GiB)?$|` + reference,
			"minimum": 1}
	case "number", "factor":
		kind := map[bool]string{true: "integer", false: "number"}[t.Kind() == reflect.Int]
		p := object{"type": []string{kind, "string"},
			"pattern": `^[0-9.]+$|` + reference, "exclusiveMinimum": 0}
		if k.min.IsValid() {
			delete(p, "exclusiveMinimum")
			p["minimum"] = k.min.Interface()
		}
		if k.max.IsValid() {
			p["maximum"] = k.max.Interface()
		}
		return p
	case "yes or no":
		return object{"type": []string{"boolean", "string"}, "pattern": `^(true|false|off)$|` + reference}
	case "text":
		if k != nil && len(k.words) > 0 {
			return object{"anyOf": []any{object{"enum": k.words}, object{"type": "string", "pattern": reference}}}
		}
		return object{"type": "string"}
	case "list":
		return object{"type": "array", "items": valueSchema(said, t.Elem(), nil, definitions)}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return valueSchema(said, t.Elem(), k, definitions)
	case reflect.Struct:
		if _, ok := definitions[t.Name()]; !ok {
			definitions[t.Name()] = nil // a section does not contain itself
			definitions[t.Name()] = schemaOf(said, t, definitions)
		}
		return object{"allOf": []any{object{"$ref": "#/definitions/" + t.Name()}}}
	}
	p := object{"type": "object"}
	if t.Elem().Kind() != reflect.Interface {
		p["additionalProperties"] = valueSchema(said, t.Elem(), nil, definitions)
	}
	if t.Elem() == agentType {
		p["propertyNames"] = object{"pattern": validName.String()}
	}
	return p
}

// TestSchema: the schema that is embedded, and that which editors find beside our project files,
// are what is declared.
func TestSchema(t *testing.T) {
	definitions := object{}
	whole := schemaOf(sentences(t), reflect.TypeFor[Config](), definitions)
	whole["$schema"], whole["definitions"] = "http://json-schema.org/draft-07/schema#", definitions
	whole["title"] = "An openmas project file"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(whole); err != nil {
		t.Fatal(err)
	}
	kept(t, "schema.json", Schema(), b.String())
	kept(t, schemaPath, readOr(schemaPath), b.String())
}

func readOr(path string) string {
	data, _ := os.ReadFile(path) // none is as wrong as another
	return string(data)
}

// TestSchemaFits: our own project files are valid by the schema that their first line names, and
// what Load refuses for its form alone is not.
func TestSchemaFits(t *testing.T) {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(mustRead(t, schemaPath)), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	validate := func(file, text string) error {
		v, problems := newTree().parse(file, []byte(text))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", file, problems)
		}
		data, err := json.Marshal(plain(v))
		if err != nil {
			t.Fatal(err)
		}
		var instance any
		if err := json.Unmarshal(data, &instance); err != nil {
			t.Fatal(err)
		}
		return resolved.Validate(instance)
	}
	n := 0
	for _, root := range []string{"../../configs", "../../examples", "testdata"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) != ".yaml" || err != nil {
				return err
			}
			text := mustRead(t, path)
			if n++; root != "testdata" {
				line, _, _ := strings.Cut(text, "\n")
				at, ok := strings.CutPrefix(line, "# yaml-language-server: $schema=")
				found := filepath.Join(filepath.Dir(path), filepath.FromSlash(at))
				if !ok || found != filepath.Clean(schemaPath) {
					t.Errorf("%s: its first line does not name the schema, but %s", path, found)
				}
			}
			if err := validate(path, text); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 4 {
		t.Errorf("%d project files", n)
	}
	const all = `agents:
  a: {type: x, timeout: "${env:T}", critical: off, retry: off, replicas: "2", tools: {t.u: {idempotent: true}}}
gateway: off
mcp: {resume: off, max_body: 4096, sampling: off, session_idle: 1h30m, fast_path: "${env:F}"}
telemetry: off
`
	if err := validate("all", all); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"agens: {}", "agents: {a: {tpye: x}}", "agents: {A: {type: x}}", "agents: [a]",
		"drain: {timeout: 3}", "drain: {timeout: off}", "agents: {a: {type: x, replicas: 0}}", "mcp: {max_body: 4MB}",
		"agents: {a: {type: x, replicas: 1025}}", "agents: {a: {type: x, run: al}}", "reconnect: {multiplier: 0.5}",
		"agents: {a: {tools: {t: {timout: 3s}}}}", "agents: {a: {command: x}}", "project: 5"} {
		if validate("wrong", wrong) == nil {
			t.Errorf("the schema takes %s", fmt.Sprint(wrong))
		}
	}
}
