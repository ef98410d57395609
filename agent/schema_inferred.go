package agent

import (
	"encoding/json"
	"reflect"
	"sync"
)

// A program makes many agents of few types, and each of them its tools anew. What follows from a Go
// type alone is worked out once: there is an entry for each type that a tool or a prompt of this
// program takes or returns, and nothing else.
var (
	inferredInputs  sync.Map // reflect.Type to *inferred
	inferredOutputs sync.Map // reflect.Type to json.RawMessage
)

// inferred is the schema of an input type. It must not be changed.
type inferred struct {
	schema json.RawMessage
	err    error
	// check is of raw input, with what is wrong with the schema itself.
	check    func(json.RawMessage) error
	checkErr error
}

// inferInput gives the schema of an input type, and the check of what is sent for it.
func inferInput(t reflect.Type) *inferred {
	if known, ok := inferredInputs.Load(t); ok {
		return known.(*inferred)
	}
	i := &inferred{}
	i.schema, i.err = inputSchema(t)
	i.check, i.checkErr = compileSchema(i.schema)
	known, _ := inferredInputs.LoadOrStore(t, i)
	return known.(*inferred)
}

// inferSchema gives the schema of an input type alone.
func inferSchema(t reflect.Type) (json.RawMessage, error) {
	i := inferInput(t)
	return i.schema, i.err
}

// inferOutput gives the schema of an output type, if it has one.
func inferOutput(t reflect.Type) json.RawMessage {
	if known, ok := inferredOutputs.Load(t); ok {
		return known.(json.RawMessage)
	}
	known, _ := inferredOutputs.LoadOrStore(t, outputSchema(t))
	return known.(json.RawMessage)
}
