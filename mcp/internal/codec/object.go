package codec

import (
	"encoding/json"
	"strings"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// An Object is a JSON object of a peer that notes whether it was changed: one that was not is
// passed on as it came. Names are exact: encoding/json would take `Name` for `name`.
type Object struct {
	jsonedit.Object
	changed bool
}

// ReadObject reads an object. One with a name that is repeated counts as changed, since others
// might read another of the values.
func ReadObject(raw []byte) (*Object, error) {
	o, repeated, err := jsonedit.ReadObject(raw)
	if err != nil {
		return nil, err
	}
	return &Object{o, repeated}, nil
}

// Set gives a member a value, at its place or as the last one.
func (o *Object) Set(name string, value json.RawMessage) {
	o.changed = true
	o.Object.Set(name, value)
}

// Delete removes a member.
func (o *Object) Delete(name string) { o.changed = o.Object.Delete(name) || o.changed }

// Changed reports whether Raw differs from what was read by more than white space.
func (o *Object) Changed() bool { return o.changed }

// isObject reports whether valid JSON is an object.
func isObject(raw json.RawMessage) bool {
	trimmed := strings.TrimLeft(string(raw[:min(len(raw), 64)]), " \t\r\n")
	return strings.HasPrefix(trimmed, "{")
}
