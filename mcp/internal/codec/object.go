package codec

import (
	"encoding/json"
	"slices"
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

// Rename gives a member another name.
func (o *Object) Rename(from, to string) {
	for i := range o.Object {
		if o.Object[i].Key == from {
			o.Object[i].Key, o.changed = to, true
		}
	}
}

// foldedName is how a member is written that has the name but for upper and lower case; empty:
// there is none.
func (o *Object) foldedName(name string) string {
	for _, m := range o.Object {
		if m.Key != name && strings.EqualFold(m.Key, name) {
			return m.Key
		}
	}
	return ""
}

// Delete removes a member.
func (o *Object) Delete(name string) { o.changed = o.Object.Delete(name) || o.changed }

// dropOurs removes what only our own peers may say, and reports whether there was some.
func (o *Object) dropOurs() bool {
	before := len(o.Object)
	o.Object = slices.DeleteFunc(o.Object, func(m jsonedit.Member) bool { return strings.HasPrefix(m.Key, MetaPrefix) })
	o.changed = o.changed || len(o.Object) < before
	return len(o.Object) < before
}

// Changed reports whether Raw differs from what was read by more than white space.
func (o *Object) Changed() bool { return o.changed }

// from is the object as it is now, which is raw if it was not changed.
func (o *Object) from(raw json.RawMessage) json.RawMessage {
	if o.Changed() {
		return o.Raw()
	}
	return raw
}

// meta is the `_meta` of what a server sent. In o, what only our own may say is taken out of it.
func (o *Object) meta() *Object {
	raw := o.Get("_meta")
	meta, err := ReadObject(raw)
	if err != nil {
		if raw != nil {
			o.Delete("_meta")
		}
		return &Object{}
	}
	kept := &Object{slices.Clone(meta.Object), meta.changed}
	if kept.dropOurs() || kept.changed {
		o.Set("_meta", kept.Raw())
	}
	return meta
}

// isObject reports whether valid JSON is an object.
func isObject(raw json.RawMessage) bool {
	trimmed := strings.TrimLeft(string(raw[:min(len(raw), 64)]), " \t\r\n")
	return strings.HasPrefix(trimmed, "{")
}
