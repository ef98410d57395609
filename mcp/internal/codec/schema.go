package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const headerWord = "x-mcp-header" // of a property whose argument goes in a header as well

// WantsHeaders reports whether a tool's schema wants that requests over HTTP say some of the
// arguments in headers as well, as servers of protocol 2026-07-28 may.
func WantsHeaders(schema json.RawMessage) bool {
	if bytes.IndexByte(schema, '\\') >= 0 { // spelled out
		var v any
		if json.Unmarshal(schema, &v) == nil {
			schema, _ = json.Marshal(v) // cannot fail
		}
	}
	return bytes.Contains(schema, []byte(headerWord))
}

// headerProperty is what matters of a property.
type headerProperty struct {
	Type       any                       `json:"type"`
	Header     json.RawMessage           `json:"x-mcp-header"`
	Properties map[string]headerProperty `json:"properties"`
}

// CheckHeaders says what is wrong with the headers that a tool's schema wants: they are for texts,
// integers and booleans, valid names, and different. A client must not offer such a tool.
func CheckHeaders(schema json.RawMessage) error {
	var all headerProperty
	if !WantsHeaders(schema) || json.Unmarshal(schema, &all) != nil {
		return nil
	}
	return checkHeaders(all.Properties, "", map[string]bool{})
}

func checkHeaders(properties map[string]headerProperty, above string, seen map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p, path := properties[name], above+name
		if p.Header != nil {
			if p.Type != "string" && p.Type != "integer" && p.Type != "boolean" {
				return fmt.Errorf("%s of %q: it is for texts, integers and booleans, not for %v", headerWord, path, p.Type)
			}
			var header string
			if json.Unmarshal(p.Header, &header) != nil || header == "" || strings.IndexFunc(header, notInToken) >= 0 {
				return fmt.Errorf("%s of %q: %s is no name of a header", headerWord, path, p.Header)
			}
			if header = strings.ToLower(header); seen[header] {
				return fmt.Errorf("%s of %q: %s is there twice", headerWord, path, p.Header)
			}
			seen[header] = true
		}
		if err := checkHeaders(p.Properties, path+".", seen); err != nil {
			return err
		}
	}
	return nil
}

// notInToken reports whether a name of a header cannot have a letter (RFC 9110, section 5.6.2).
func notInToken(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
