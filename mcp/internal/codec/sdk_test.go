package codec

import (
	"reflect"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestSDKKeepsResultTypes fails when the type of a result can be set without a detour by JSON.
func TestSDKKeepsResultTypes(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[*sdk.CallToolResult](), reflect.TypeFor[*sdk.GetPromptResult](),
		reflect.TypeFor[*sdk.ReadResourceResult]()} {
		var names []string
		for m := range typ.Methods() {
			names = append(names, m.Name)
		}
		for f := range typ.Elem().Fields() {
			if f.IsExported() {
				names = append(names, f.Name)
			}
		}
		for _, name := range names {
			if strings.Contains(name, "ResultType") {
				t.Errorf("%s.%s: sdk.go is needless", typ, name)
			}
		}
	}
}
