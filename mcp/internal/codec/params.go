package codec

import (
	"encoding/json"
	"fmt"

	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// The SDK refuses params that it cannot decode in words of Go, before anything of ours sees the
// request. So params are checked before, and what is odd about them passes through the SDK in their
// `_meta`.

// metaOdd is what is odd about the params. It never leaves the process.
const metaOdd = "openmas/odd"

const methodInitialize = "initialize"

var (
	metaField = field{name: "_meta", kind: anObject}
	state     = field{name: "requestState", kind: aString}
	byName    = field{name: "name", kind: aString}
	byURI     = field{name: "uri", kind: aString}
	pageShape = shape{{name: "cursor", kind: aString}, metaField}
)

// paramsShapes are those of the params of what clients send, as far as the SDK checks them. The
// rest of initialize is mended ([MendClient]).
var paramsShapes = map[string]shape{
	methodInitialize:           {{name: "protocolVersion", kind: aString}},
	"ping":                     {metaField},
	"server/discover":          {metaField},
	MethodCall:                 {byName, state, metaField},
	"prompts/get":              {byName, {name: "arguments", kind: strsByName}, state, metaField},
	"resources/read":           {byURI, state, metaField},
	"resources/subscribe":      {byURI, metaField},
	"resources/unsubscribe":    {byURI, metaField},
	"tools/list":               pageShape,
	"prompts/list":             pageShape,
	"resources/list":           pageShape,
	"resources/templates/list": pageShape,
	"logging/setLevel":         {{name: "level", kind: aString}, metaField},
	"completion/complete": {metaField,
		{name: "ref", kind: anObject, of: shape{{name: "type", kind: aString, must: true}, byName, byURI}},
		{name: "argument", kind: anObject, of: shape{byName, {name: "value", kind: aString}}},
		{name: "context", kind: anObject, of: shape{{name: "arguments", kind: strsByName}}}},
	"subscriptions/listen": {metaField, {name: "notifications", kind: anObject, of: shape{
		{name: "toolsListChanged", kind: aBoolean}, {name: "promptsListChanged", kind: aBoolean},
		{name: "resourcesListChanged", kind: aBoolean}, {name: "resourceSubscriptions", kind: strs}}}},
	"notifications/initialized":        {metaField},
	"notifications/roots/list_changed": {metaField},
	wire.MethodCancelled: {{name: "requestId", kind: anID, must: true}, {name: "reason", kind: aString},
		metaField},
	"notifications/progress": {{name: "progressToken", kind: anID, must: true},
		{name: "progress", kind: aNumber, must: true}, {name: "total", kind: aNumber},
		{name: "message", kind: aString}, metaField},
}

// CheckParams returns params that the SDK can decode. What is odd about those that came is in them,
// for [OddParams]; without anything odd they are returned as they are.
func CheckParams(method string, params json.RawMessage) (decodable json.RawMessage, odd bool) {
	s, known := paramsShapes[method]
	if !known {
		return params, false
	}
	o := &Object{}
	var why string
	switch is := kindOf(params); is {
	case anObject:
		var err error
		if o, err = ReadObject(params); err != nil {
			return params, false // the SDK says what is wrong with it
		}
		why = s.takeOdd(o)
		if why == "" && method == "completion/complete" {
			why = takeOddRef(o)
		}
	case "nothing", "null":
		if why = s.takeOdd(o); method == methodInitialize {
			why = "it has no params"
		}
	default:
		why = fmt.Sprintf("its params are %s, not %s", is, anObject)
	}
	if why == "" {
		return params, false
	}
	o.Set("_meta", oddMeta(o.Get("_meta"), why))
	return o.Raw(), true
}

// takeOdd takes the members out that do not fit, and returns what is wrong with the first.
func (s shape) takeOdd(o *Object) (why string) {
	for _, f := range s {
		err := error(nil)
		if v := o.Get(f.name); v != nil && (string(v) != "null" || f.must) {
			_, err = f.fit(v, false, nil)
		} else if f.must {
			err = fmt.Errorf("it has no %s", f.name)
		}
		if err != nil {
			o.Delete(f.name)
			if why == "" {
				why = err.Error()
			}
		}
	}
	return why
}

// takeOddRef does so where the ref of a completion is none.
func takeOddRef(o *Object) (why string) {
	ref, err := ReadObject(o.Get("ref"))
	if err != nil {
		return "" // there is none
	}
	switch is := ref.text("type"); {
	case is != "ref/prompt" && is != "ref/resource":
		why = fmt.Sprintf("the type of its ref is %.40q, neither ref/prompt nor ref/resource", is)
	case is == "ref/prompt" && ref.text("uri") != "":
		why = "its ref is of a prompt, and has a uri"
	case is == "ref/resource" && ref.text("name") != "":
		why = "its ref is of a resource, and has a name"
	default:
		return ""
	}
	o.Delete("ref")
	return why
}

func oddMeta(raw json.RawMessage, why string) json.RawMessage {
	meta, err := ReadObject(raw)
	if err != nil {
		meta = &Object{}
	}
	meta.Set(metaOdd, jsonedit.String(why))
	return meta.Raw()
}

// OddParams is what [CheckParams] found odd about the params with this `_meta`; empty: nothing.
func OddParams(meta map[string]any) string {
	why, _ := meta[metaOdd].(string)
	return why
}
