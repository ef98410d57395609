package project

import (
	"fmt"
	"reflect"
	"strings"
)

// declared are the keys of the project file: every section that can be reached from Config.
var declared = func() *naming {
	n := &naming{tag: "yaml", inline: "inline", declaration: declaration, sections: map[reflect.Type]*section{}}
	n.declare(reflect.TypeFor[Config]())
	return n
}()

var agentType = reflect.TypeFor[Agent]()

// declaration reads the tags of a field of the project file, see key.
func declaration(k *key, f reflect.StructField) {
	k.words = strings.Fields(f.Tag.Get("oneof"))
	k.only, k.remark, _ = strings.Cut(f.Tag.Get("only"), "; ")
	k.off, k.canOff = f.Tag.Lookup("off")
	_, k.secret = f.Tag.Lookup("secret")
	_, k.inherit = f.Tag.Lookup("inherit")
	for tag, v := range map[string]*reflect.Value{"default": &k.def, "min": &k.min, "max": &k.max} {
		if text, ok := f.Tag.Lookup(tag); ok {
			*v = reflect.New(k.typ).Elem()
			if k.canOff && text == offText {
				text = k.off
			}
			if err := setText(*v, text); err != nil {
				panic(fmt.Sprintf("the tag %s of %s: %v", tag, f.Name, err))
			}
		}
	}
}
