package codec

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// An Object is a JSON object of a peer, member by member, in its order. What is not changed is
// written as it was read, digit for digit; its white space between members is lost. Names are
// exact: encoding/json would take `Name` for `name`.
type Object struct {
	members []member
	changed bool
}

type member struct {
	name  string
	value json.RawMessage
}

var errNoObject = errors.New("it is no JSON object")

// ReadObject reads an object, whose members are slices of raw. Of two with the same name the last
// counts, as for everybody else who reads JSON.
func ReadObject(raw []byte) (*Object, error) {
	o := &Object{}
	plain := rawjson.Object(raw, func(k, v []byte) bool {
		o.members = append(o.members, member{string(k), v})
		return true
	})
	if !plain {
		if err := o.readSlowly(raw); err != nil {
			return nil, err
		}
	}
	o.dropRepeated()
	return o, nil
}

// readSlowly takes what package rawjson leaves alone: names with escapes, deep nesting.
func (o *Object) readSlowly(raw []byte) error {
	o.members = nil
	if !json.Valid(raw) {
		return errors.New("it is no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errNoObject
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		m := member{name: t.(string)} // the decoder takes nothing else there
		if err := d.Decode(&m.value); err != nil {
			return err
		}
		o.members = append(o.members, m)
	}
	return nil
}

func (o *Object) dropRepeated() {
	last := make(map[string]int, len(o.members))
	for i, m := range o.members {
		last[m.name] = i
	}
	if len(last) == len(o.members) {
		return
	}
	kept := o.members[:0]
	for i, m := range o.members {
		if last[m.name] == i {
			kept = append(kept, m)
		}
	}
	o.members, o.changed = kept, true
}

// Get returns a member; nil if there is none.
func (o *Object) Get(name string) json.RawMessage {
	for i := range o.members {
		if o.members[i].name == name {
			return o.members[i].value
		}
	}
	return nil
}

// Set gives a member a value, at its place or as the last one.
func (o *Object) Set(name string, value json.RawMessage) {
	o.changed = true
	for i := range o.members {
		if o.members[i].name == name {
			o.members[i].value = value
			return
		}
	}
	o.members = append(o.members, member{name, value})
}

// Delete takes a member out.
func (o *Object) Delete(name string) { o.deleteAll(func(n string) bool { return n == name }) }

// deleteAll takes out the members whose name ok holds for.
func (o *Object) deleteAll(ok func(name string) bool) {
	kept := o.members[:0]
	for _, m := range o.members {
		if ok(m.name) {
			o.changed = true
		} else {
			kept = append(kept, m)
		}
	}
	o.members = kept
}

// Changed reports whether JSON differs from what was read by more than white space.
func (o *Object) Changed() bool { return o.changed }

// JSON is the object as it is now.
func (o *Object) JSON() json.RawMessage {
	out := []byte{'{'}
	for i, m := range o.members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(rawjson.AppendQuote(out, m.name), ':'), m.value...)
	}
	return append(out, '}')
}

// each calls f for each member.
func (o *Object) each(f func(name string, value json.RawMessage)) {
	for _, m := range o.members {
		f(m.name, m.value)
	}
}

// readArray returns the items of a JSON array as they stand, slices of raw where they can be.
func readArray(raw json.RawMessage) (items []json.RawMessage, err error) {
	if rawjson.Array(raw, func(item []byte) bool {
		items = append(items, item)
		return true
	}) {
		return items, nil
	}
	if raw[0] != '[' {
		return nil, errors.New("it is no list")
	}
	items = nil
	err = json.Unmarshal(raw, &items)
	return items, err
}

func writeArray(items []json.RawMessage) json.RawMessage {
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']')
}
