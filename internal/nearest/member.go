package nearest

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Member is how an error about an input ends that has a member which its schema does not know, and
// that is nearly one of those which the input lacks; else "".
func Member(schema, input json.RawMessage) string {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(schema, &s) != nil || json.Unmarshal(input, &members) != nil {
		return ""
	}
	var unknown, lacking []string
	for name := range members {
		if _, known := s.Properties[name]; !known {
			unknown = append(unknown, name)
		}
	}
	for name := range s.Properties {
		if _, given := members[name]; !given {
			lacking = append(lacking, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		if near := Word(name, lacking); near != "" {
			return fmt.Sprintf("did you mean %q for %q?", near, name)
		}
	}
	return ""
}
