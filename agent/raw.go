package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// decodeAll decodes b into a T and reports whether the T holds all of it, as far as members go.
func decodeAll[T any](b []byte) (v T, all bool, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&v) == nil {
		return v, true, nil
	}
	var loose T
	return loose, false, json.Unmarshal(b, &loose)
}

// decodeKept decodes b into a T, and keeps b where it says more than the T is written as: other
// members, or another order or form of them.
func decodeKept[T any](b []byte) (v T, raw json.RawMessage, err error) {
	v, all, err := decodeAll[T](b)
	if err != nil {
		return v, nil, err
	}
	var plain bytes.Buffer
	now, bad := marshal(v)
	if !all || bad != nil || json.Compact(&plain, b) != nil || !bytes.Equal(now, plain.Bytes()) {
		raw = bytes.Clone(b)
	}
	return v, raw, nil
}

// marshal is [json.Marshal] but for <, > and &, which stay what they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

// encodeOver encodes v where there is raw, the JSON that was decoded into a T once: raw as it is,
// but for the members that v says otherwise.
func encodeOver[T any](raw json.RawMessage, v T) ([]byte, error) {
	now, err := marshal(v)
	if err != nil || len(raw) == 0 {
		return now, err
	}
	var old T
	if err := json.Unmarshal(raw, &old); err != nil {
		return nil, err
	}
	was, err := marshal(old)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(was, now) {
		return raw, nil
	}
	return patch(raw, was, now)
}

// patch changes in the object raw what differs between the objects was and now, and nothing else.
func patch(raw, was, now []byte) ([]byte, error) {
	base, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	before, err := parseObject(was)
	if err != nil {
		return nil, err
	}
	after, err := parseObject(now)
	if err != nil {
		return nil, err
	}
	for _, m := range before {
		if after.find(m.key) == nil {
			base = base.without(m.key)
		}
	}
	for _, m := range after {
		switch old, at := before.find(m.key), base.find(m.key); {
		case old != nil && bytes.Equal(old.value, m.value):
		case at != nil:
			at.value = m.value
		default:
			base = append(base, m)
		}
	}
	return base.encode()
}

// An object is the members of a JSON object, in order.
type object []property

type property struct {
	key   string
	value json.RawMessage
}

func parseObject(b []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%.40q is no JSON object", b)
	}
	var all object
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := property{key: key.(string)} // the decoder takes nothing else there
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (ms object) find(key string) *property {
	for i := range ms {
		if ms[i].key == key {
			return &ms[i]
		}
	}
	return nil
}

func (ms object) without(key string) object {
	out := make(object, 0, len(ms))
	for _, m := range ms {
		if m.key != key {
			out = append(out, m)
		}
	}
	return out
}

func (ms object) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range ms {
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func objectOr(in json.RawMessage) json.RawMessage {
	if len(in) == 0 || string(in) == "null" {
		return json.RawMessage("{}")
	}
	return in
}
