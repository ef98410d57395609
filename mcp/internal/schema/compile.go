package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// itself is the URL of a schema that is compiled.
const itself = "tool:///output"

// compile returns why clients cannot compile the schema of a result. Some compile it when they
// list, and fail with the whole list, all of them when they check a result.
func compile(raw json.RawMessage) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return errors.New("it is no JSON")
	}
	if err := compilable(doc, doc); err != nil {
		return err
	}
	c := compiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseRegexpEngine(scripted)
	if err = c.AddResource(itself, doc); err == nil {
		_, err = c.Compile(itself)
	}
	if bad := (*jsonschema.SchemaValidationError)(nil); errors.As(err, &bad) {
		err = bad.Err
	}
	var (
		invalid *jsonschema.ValidationError
		pointer *jsonschema.JSONPointerNotFoundError
		anchor  *jsonschema.AnchorNotFoundError
		load    *jsonschema.LoadURLError
		regex   *jsonschema.InvalidRegexError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		_, why := innermost(invalid)
		return errors.New(why)
	case errors.As(err, &regex):
		return regex.Err
	case errors.As(err, &pointer):
		return noTarget(pointer.URL)
	case errors.As(err, &anchor):
		return noTarget(anchor.Reference)
	case errors.As(err, &load):
		return fmt.Errorf("its $ref to %q leads to another document", strings.TrimPrefix(load.URL, "tool:///"))
	}
	return errors.New(strings.NewReplacer("\n", " ", itself+"#", "#", itself, "#").Replace(err.Error()))
}

func noTarget(ref string) error {
	if _, place, ok := strings.Cut(ref, "#"); ok {
		ref = "#" + place
	}
	return fmt.Errorf("its $ref to %q leads nowhere", strings.Replace(ref, itself, "#", 1))
}

// compilable returns what the validator Ajv refuses, with which clients in JavaScript compile
// schemas. The meta-schemas allow it.
func compilable(root, schema any) (err error) {
	s, _ := schema.(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(s)) {
		v := s[k]
		list, isList := v.([]any)
		switch {
		case k == "enum" && isList && len(list) == 0:
			err = errors.New("its enum has no value")
		case k == "id":
			err = errors.New("its id is a keyword of draft 4: later ones have $id")
		case k == "$async":
			err = errors.New("it has $async, which is no keyword of JSON schema")
		case k == "nullable":
			err = nullable(v, s["type"])
		case k == "$ref":
			err = reference(root, v)
		case holdsSchemas[k]:
			named, _ := v.(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(named)) {
				if err = compilable(root, named[name]); err != nil {
					return err
				}
			}
		case (isSchema[k] || listsSchemas[k]) && isList:
			for _, one := range list {
				if err = compilable(root, one); err != nil {
					return err
				}
			}
		case isSchema[k]:
			err = compilable(root, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nullable checks a word of OpenAPI, which Ajv knows.
func nullable(v, typ any) error {
	may, ok := v.(bool)
	types, list := typ.([]any)
	if !list && typ != nil {
		types = []any{typ}
	}
	switch {
	case !ok:
		return errors.New("its nullable is no boolean")
	case len(types) == 0:
		return errors.New("it has nullable, a word of OpenAPI, but no type")
	case !may && slices.Contains(types, any("null")):
		return errors.New("its type has null, but nullable is false")
	}
	return nil
}

// maxReferences is how many references may lead from one to the next.
const maxReferences = 64

// reference returns why a $ref cannot be followed: it leads to a meta-schema, which clients do not
// have at hand, or in a circle. What else can be wrong with one, the compiler says.
func reference(root, v any) error {
	first, _ := v.(string)
	for range maxReferences {
		ref, _ := v.(string)
		if strings.Contains(ref, "://json-schema.org/") && !strings.Contains(ref, "/draft-07/") {
			return fmt.Errorf("its $ref to %q leads to another document", ref)
		}
		place, local := strings.CutPrefix(ref, "#")
		place, err := url.PathUnescape(place)
		if !local || err != nil || place != "" && place[0] != '/' {
			return nil
		}
		at := root
		for _, key := range strings.Split(place, "/")[1:] {
			key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
			switch in := at.(type) {
			case map[string]any:
				at = in[key]
			case []any:
				i, err := strconv.Atoi(key)
				if err != nil || i < 0 || i >= len(in) {
					return nil
				}
				at = in[i]
			}
		}
		s, _ := at.(map[string]any)
		if v = s["$ref"]; v == nil {
			return nil
		}
	}
	return fmt.Errorf("its $ref to %q leads in a circle", first)
}
