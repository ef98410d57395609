package codec

import (
	"encoding/json"
	"strings"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// What the two ends of a session say of themselves in a handshake. The SDK refuses the whole
// session for one member of the wrong type, and most of them decorate.

var impl = shape{{name: "name", kind: aString}, {name: "version", kind: aString}, {name: "title", kind: aString},
	{name: "description", kind: aString}, {name: "websiteUrl", kind: aString},
	{name: "icons", kind: objects, of: iconsShape}}

var changes = shape{{name: "listChanged", kind: aBoolean}, {name: "subscribe", kind: aBoolean}}

// helloShape is that of the results of initialize and of server/discover.
var helloShape = shape{{name: "_meta", kind: anObject}, {name: "serverInfo", kind: anObject, of: impl},
	{name: "instructions", kind: aString}, {name: "resultType", kind: aString},
	{name: "supportedVersions", kind: strs}, {name: "ttlMs", kind: anInt}, {name: "cacheScope", kind: aString},
	{name: "capabilities", kind: anObject, of: shape{{name: "experimental", kind: anObject},
		{name: "extensions", kind: anObject}, {name: "completions", kind: anObject}, {name: "logging", kind: anObject},
		{name: "prompts", kind: anObject, of: changes}, {name: "resources", kind: anObject, of: changes},
		{name: "tools", kind: anObject, of: changes}}}}

// clientShape is that of the params of initialize.
var clientShape = shape{{name: "_meta", kind: anObject}, {name: "clientInfo", kind: anObject, of: impl},
	{name: "capabilities", kind: anObject, of: shape{{name: "experimental", kind: anObject},
		{name: "extensions", kind: anObject}, {name: "roots", kind: anObject, of: changes},
		{name: "sampling", kind: anObject,
			of: shape{{name: "tools", kind: anObject}, {name: "context", kind: anObject}}},
		{name: "elicitation", kind: anObject,
			of: shape{{name: "form", kind: anObject}, {name: "url", kind: anObject}}}}}}

// MendHello makes what a server answers to initialize, or to server/discover, decodable: what is
// surely meant is taken, and what cannot be is left out. odd names the members that had the wrong
// type; raw is returned as it is without any.
func MendHello(raw json.RawMessage) (mended json.RawMessage, odd []string) {
	return helloShape.mend(raw)
}

// MendClient is [MendHello] for the params with which a client asks for initialize.
func MendClient(raw json.RawMessage) (mended json.RawMessage, odd []string) {
	return clientShape.mend(raw)
}

func (s shape) mend(raw json.RawMessage) (json.RawMessage, []string) {
	o, err := ReadObject(raw)
	if err != nil {
		return raw, nil
	}
	odd := s.takeMeant(o, "")
	if len(odd) == 0 {
		return raw, nil
	}
	return o.Raw(), odd
}

// takeMeant gives the members of o the types of the shape, and their names where those differ in
// case. It returns the paths of those that had others.
func (s shape) takeMeant(o *Object, above string) (odd []string) {
	for _, f := range s {
		v, path := o.Get(f.name), above+f.name
		if as := o.foldedName(f.name); v == nil && as != "" {
			odd = append(odd, above+as)
			o.Rename(as, f.name)
			v = o.Get(f.name)
		}
		if v == nil || string(v) == "null" {
			continue
		}
		if f.kind == anObject && v[0] == '{' && f.of != nil {
			inner, err := ReadObject(v)
			if err != nil {
				continue
			}
			if more := f.of.takeMeant(inner, path+"."); len(more) > 0 {
				odd = append(odd, more...)
				o.Set(f.name, inner.Raw())
			}
			continue
		}
		if _, err := f.fit(v, false, nil); err == nil {
			continue
		}
		odd = append(odd, path)
		if now := f.meant(v); now != nil {
			o.Set(f.name, now)
		} else {
			o.Delete(f.name)
		}
	}
	return odd
}

// meant is a value of the field's kind that v surely stands for; nil: there is none.
func (f field) meant(v json.RawMessage) json.RawMessage {
	text, quoted := rawjson.Unquote(v)
	if !quoted {
		text = string(v)
	}
	switch is := kindOf(v); {
	case f.kind == aString && (is == aNumber || is == aBoolean):
		return jsonedit.String(text)
	case f.kind == strs && is == aString:
		return jsonedit.Array([]json.RawMessage{v})
	case f.kind == aBoolean:
		switch strings.ToLower(text) {
		case "true", "yes", "on", "1":
			return json.RawMessage("true")
		}
	case f.kind != anObject || f.name == "_meta" || f.name == "experimental" || f.name == "extensions":
		// there is nothing to take
	case strings.HasSuffix(f.name, "Info") && is == aString:
		return json.RawMessage(`{"name":` + string(v) + `,"version":""}`)
	case f.name == "capabilities":
		return json.RawMessage("{}")
	case strings.HasSuffix(f.name, "Info"):
	default: // a capability: there it is, unless it says no
		switch strings.ToLower(text) {
		case "false", "no", "off", "0", "":
		default:
			return json.RawMessage("{}")
		}
	}
	return nil
}
