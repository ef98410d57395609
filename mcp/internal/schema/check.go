package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// A Checker checks schemas. It remembers what it has found out: many agents are of one type, and
// have the same tools. The zero value is ready. It is safe for concurrent use.
type Checker struct {
	mu              sync.Mutex
	meta            map[string]*jsonschema.Schema // by the URL of the draft
	inputs, outputs map[string]verdict            // by the schema
}

// A verdict on a schema.
type verdict struct {
	fixed json.RawMessage
	what  string
	same  bool // fixed is the schema itself, and not kept
}

const (
	// maxVerdicts bounds how many are remembered; beyond it, all are forgotten.
	maxVerdicts = 500
	// maxVerdictBytes is how large a schema may be whose verdict is remembered.
	maxVerdictBytes = 8 << 10
)

// remembered is what judge finds out about a schema, or has found out before.
func (c *Checker) remembered(known *map[string]verdict, raw json.RawMessage,
	judge func(json.RawMessage) (json.RawMessage, string)) (fixed json.RawMessage, what string) {
	if len(raw) > maxVerdictBytes {
		return judge(raw)
	}
	c.mu.Lock()
	v, ok := (*known)[string(raw)]
	c.mu.Unlock()
	if !ok {
		if v.fixed, v.what = judge(raw); v.fixed != nil && bytes.Equal(v.fixed, raw) {
			v.fixed, v.same = nil, true
		}
		c.mu.Lock()
		if *known == nil || len(*known) >= maxVerdicts {
			*known = map[string]verdict{}
		}
		(*known)[string(raw)] = v
		c.mu.Unlock()
	}
	if v.same {
		return raw, v.what
	}
	return v.fixed, v.what
}

// drafts are the meta-schemas; the first is that of schemas that do not say.
var drafts = []string{"https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema",
	"http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-06/schema",
	"http://json-schema.org/draft-04/schema"}

// draftOf is the draft that a schema says it is of, or the newest.
func draftOf(doc any) string {
	root, _ := doc.(map[string]any)
	said, _ := root["$schema"].(string)
	if d := draftNamed(said); d != "" {
		return d
	}
	return drafts[0]
}

// draftNamed is the draft that a $schema means; empty: none that is known.
func draftNamed(said string) string {
	said = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(said, "https:"), "http:"), "#")
	for _, d := range drafts {
		if said != "" && strings.HasSuffix(d, said) && strings.HasPrefix(said, "//") {
			return d
		}
	}
	return ""
}

// metaSchema compiles a draft's meta-schema when it is first needed.
func (c *Checker) metaSchema(draft string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.meta[draft]; s != nil {
		return s, nil
	}
	s, err := compiler().Compile(draft)
	if err != nil {
		return nil, err
	}
	if c.meta == nil {
		c.meta = map[string]*jsonschema.Schema{}
	}
	c.meta[draft] = s
	return s, nil
}

// compiler loads nothing, and takes every regular expression: Go knows fewer of them than clients.
func compiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) { return anyRegexp(s), nil })
	return c
}

type noLoader struct{}

// Load implements [jsonschema.URLLoader].
func (noLoader) Load(url string) (any, error) { return nil, fmt.Errorf("%s is elsewhere", url) }

type anyRegexp string

// MatchString implements [jsonschema.Regexp].
func (anyRegexp) MatchString(string) bool { return true }

// String implements [jsonschema.Regexp].
func (r anyRegexp) String() string { return string(r) }

// check finds where raw is no schema: the places of the innermost faults, and a sentence on the
// first.
func (c *Checker) check(raw json.RawMessage) (places [][]string, why string) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return [][]string{{}}, "it is no JSON"
	}
	if number := jsonedit.OutOfRange(raw); number != "" {
		return [][]string{{}}, fmt.Sprintf("the number %.40s is out of range", number)
	}
	meta, err := c.metaSchema(draftOf(doc))
	if err != nil {
		return [][]string{{}}, err.Error()
	}
	var bad *jsonschema.ValidationError
	if err = meta.Validate(doc); err == nil {
		return nil, ""
	}
	if !errors.As(err, &bad) {
		return [][]string{{}}, err.Error()
	}
	return innermost(bad)
}

// innermost is the places of the innermost faults, and a sentence on the first.
func innermost(bad *jsonschema.ValidationError) (places [][]string, why string) {
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			walk(cause)
		}
		if len(e.Causes) > 0 {
			return
		}
		if !slices.ContainsFunc(places, func(p []string) bool { return slices.Equal(p, e.InstanceLocation) }) {
			places = append(places, e.InstanceLocation)
		}
		if why == "" {
			lines := strings.Split(e.Error(), "\n")
			why = strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "- ")
		}
	}
	walk(bad)
	return places, why
}
