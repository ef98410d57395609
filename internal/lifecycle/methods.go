package lifecycle

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/openmas/openmas/agent"
)

// neverCalled is an error about a method that is meant as one of the optional ones and is none of
// them: it compiles, and nobody would ever call it. Methods of the same name that are of another
// use, such as the function of a tool called start, are left alone.
func neverCalled(a agent.Agent) error {
	t := reflect.TypeOf(a)
	for _, power := range []reflect.Type{reflect.TypeFor[agent.Starter](), reflect.TypeFor[agent.Runner](),
		reflect.TypeFor[agent.Closer](), reflect.TypeFor[agent.Healther]()} {
		want := power.Method(0)
		if t.Implements(power) {
			continue
		}
		if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(power) {
			return fmt.Errorf("the method %s of %v is never called: its receiver is a pointer, and the agent is none; "+
				"make the agent with &%v{…}", want.Name, t, t)
		}
		m, ok := t.MethodByName(want.Name)
		if !ok || embedded(t, want.Name) {
			continue
		}
		if got, meant := signature(m.Type); meant {
			return fmt.Errorf("the method %s%s of %v is never called: it has to be %s%s", want.Name, got, t,
				want.Name, strings.TrimPrefix(want.Type.String(), "func"))
		}
	}
	return nil
}

// signature is the parameters and results of a method without its receiver, and whether they look
// like those of an optional method: they have an [agent.Env], or at most a context, and return at
// most an error.
func signature(t reflect.Type) (text string, meant bool) {
	var in, out []reflect.Type
	for p := range t.Ins() {
		in = append(in, p)
	}
	for r := range t.Outs() {
		out = append(out, r)
	}
	in = in[1:]
	text = strings.TrimPrefix(reflect.FuncOf(in, out, t.IsVariadic()).String(), "func")
	for _, p := range in {
		if env := reflect.TypeFor[agent.Env](); p == env || p == reflect.PointerTo(env) {
			return text, true
		}
	}
	few := len(in) == 0 || len(in) == 1 && in[0] == reflect.TypeFor[context.Context]()
	return text, few && (len(out) == 0 || len(out) == 1 && out[0] == reflect.TypeFor[error]())
}

// embedded says whether a method may come from an embedded field, whose author knew nothing of
// agents.
func embedded(t reflect.Type, method string) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for f := range t.Fields() {
		if !f.Anonymous {
			continue
		}
		_, ofValue := f.Type.MethodByName(method)
		_, ofPointer := reflect.PointerTo(f.Type).MethodByName(method)
		if ofValue || ofPointer {
			return true
		}
	}
	return false
}
