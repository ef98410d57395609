package codec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
)

// readContent reads the blocks of a result, and makes them in it ones that clients can read.
func readContent(o *Object) (out []agent.Content, err error) {
	raw := o.Get("content")
	v := orEmptyList(raw)
	changed := raw == nil || kindOf(raw) == "null"
	if k := kindOf(v); k == anObject || k == aString {
		v, changed = jsonedit.Array([]json.RawMessage{v}), true // one block, which is not in a list
	}
	items, ok := jsonedit.ParseArray(v)
	if !ok {
		return nil, fmt.Errorf("its content is %s, not a list of blocks", kindOf(v))
	}
	for i, item := range items {
		block, c := readBlock(item)
		if block != nil {
			items[i], changed = block, true
		}
		out = append(out, c)
	}
	if changed {
		o.Set("content", jsonedit.Array(items))
	}
	return out, nil
}

// readBlock reads one block. A string is a text. What nobody can read becomes the text that it is
// written in, so that the others are not lost; changed is what it becomes, nil if it stays.
func readBlock(raw json.RawMessage) (changed json.RawMessage, c agent.Content) {
	if kindOf(raw) == aString {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return textBlock(text), agent.Text(text)
		}
	}
	o, err := ReadObject(raw)
	if err != nil || mendBlock(o) != nil {
		return asText(raw)
	}
	if o.Changed() {
		changed = o.Raw()
		raw = changed
	}
	if json.Unmarshal(raw, &c) != nil {
		return asText(raw)
	}
	return changed, c
}

func mendBlock(o *Object) error {
	typ := o.text("type")
	if typ == "" {
		return errors.New("it has no type")
	}
	shape, known := blockShapes[typ]
	if !known {
		return nil
	}
	if err := shape.fit(o, true, untold); err != nil {
		return err
	}
	switch typ {
	case agent.ContentImage, agent.ContentAudio:
		return mendBase64(o, "data")
	case agent.ContentResource:
		inner, err := ReadObject(o.Get("resource"))
		if err == nil {
			err = mendContents(inner)
		}
		if err == nil && inner.Changed() {
			o.Set("resource", inner.Raw())
		}
		return err
	}
	return nil
}

// mendContents makes the contents of a resource ones that clients can read. A text that is no
// string becomes the text that it is written in.
func mendContents(o *Object) error {
	if text := o.Get("text"); text != nil && kindOf(text) != aString && kindOf(text) != "null" {
		o.Set("text", jsonedit.String(string(Compact(text))))
	}
	if err := contentsShape.fit(o, true, untold); err != nil {
		return err
	}
	if o.Get("text") == nil && o.Get("blob") == nil {
		o.Set("text", json.RawMessage(`""`))
	}
	return mendBase64(o, "blob")
}

// untold is for members of a result that are taken out.
func untold(string) {}

func textBlock(text string) json.RawMessage {
	o := &Object{}
	o.Set("type", json.RawMessage(`"text"`))
	o.Set("text", jsonedit.String(text))
	return o.Raw()
}

func asText(raw json.RawMessage) (json.RawMessage, agent.Content) {
	c := agent.Text(string(Compact(raw)))
	block, _ := json.Marshal(c) // text always encodes
	return block, c
}

var errNotBase64 = errors.New("its data is not base64")

// mendBase64 writes the base64 of a member in the alphabet and with the padding of RFC 4648, in
// which clients want it. Some servers use that of URLs, or write a whole data: URL.
func mendBase64(o *Object, name string) error {
	raw := o.Get(name)
	if raw == nil {
		return nil
	}
	s := o.text(name)
	if _, err := base64.StdEncoding.DecodeString(s); err == nil {
		return nil
	}
	if strings.HasPrefix(s, "data:") {
		_, s, _ = strings.Cut(s, ",")
	}
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	data, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return errNotBase64
	}
	o.Set(name, json.RawMessage(`"`+base64.StdEncoding.EncodeToString(data)+`"`))
	return nil
}
