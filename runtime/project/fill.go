package project

import (
	"fmt"
	"reflect"
)

// Fill sets the fields of the struct that target points to from an agent's config:
// block. Keys are the fields' json names, matched as encoding/json does; a field the
// block does not name keeps its value. A time.Duration is written "3s"; a type with
// UnmarshalText reads its text; a text that spells a number or a boolean fills one, so
// that "${env:PORT}" can. Everything else must fit exactly, and an unknown key is an
// error. The error is Errors with keys relative to the block and no positions:
// Config.Locate adds those. No value appears in it.
func Fill(target any, config map[string]any) error {
	if len(config) == 0 {
		return nil // so that an agent without fields need not be a pointer
	}
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("fill a %T: it is not a pointer to a struct", target)
	}
	t := v.Type().Elem()
	if t.Kind() != reflect.Struct {
		return Errors{{Message: fmt.Sprintf("the agent is a %s, which takes no configuration", t)}}
	}
	d := decoder{keys: &naming{tag: "json", untagged: true, fold: true, sections: map[reflect.Type]*section{}}}
	d.set(v.Elem(), config, nil)
	if len(d.problems) > 0 {
		return Errors(sorted(d.problems, nil))
	}
	return nil
}
