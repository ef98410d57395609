package codec

import (
	"encoding/json"
	"testing"
)

func TestCheckHeaders(t *testing.T) {
	const a = `"type":"string","x-mcp-header":`
	for properties, ok := range map[string]bool{
		`{}`:                     true,
		`{"a":{` + a + `"A-a"}}`: true,
		`{"a":{` + a + `"azAZ09!#$%&'*+-.^_|~"}}`:                       true,
		`{"a":{"type":"string","x-mcp-header":"A"},"b":{` + a + `"/"}}`: false,
		`{"a":{` + a + `"[a]"}}`:                                        false,
		`{"a":{` + a + `"{a}"}}`:                                        false,
		`{"a":{` + a + `"a@b"}}`:                                        false,
		`{"a":{` + a + `""}}`:                                           false,
		`{"a":{` + a + `7}}`:                                            false,
		`{"a":{` + a + `"a b"}}`:                                        false,
		`{"a":{` + a + `"a:b"}}`:                                        false,
		`{"a":{` + a + `"é"}}`:                                          false,
		`{"a":{` + a + `"a\\nb"}}`:                                      false,
		`{"a":{"type":"integer","x-mcp-header":"A"},"b":{"type":"boolean","x-mcp-header":"B"}}`: true,
		`{"a":{"type":"number","x-mcp-header":"A"}}`:                                            false,
		`{"a":{"type":["string","null"],"x-mcp-header":"A"}}`:                                   false,
		`{"a":{"x-mcp-header":"A"}}`:                                                            false,
		`{"a":{` + a + `"A"},"b":{` + a + `"a"}}`:                                               false,
		`{"o":{"type":"object","properties":{"a":{` + a + `"a b"}}}}`:                           false,
		`{"o":{"type":"object","properties":{"a":{` + a + `"A"}}}}`:                             true,
	} {
		schema := json.RawMessage(`{"type":"object","properties":` + properties + `}`)
		if err := CheckHeaders(schema); (err == nil) != ok {
			t.Errorf("%s: %v", properties, err)
		}
	}
}

// JSON has many ways to write a word.
func TestHeadersThatAreSpelledOut(t *testing.T) {
	for schema, want := range map[string]bool{
		`{"properties":{"a":{"x-mcp-header":"A"}}}`:                    true,
		`{"properties":{"a":{"x-mcp-\u0068eader":"A"}}}`:               true,
		`{"properties":{"a":{"description":"\u0078-mcp-header"}}}`:     true, // a closer look finds nothing
		`{"properties":{"a":{"description":"\"quoted\" and \u0041"}}}`: false,
		`{"properties":{"a":{}}}`:                                      false,
	} {
		if got := WantsHeaders([]byte(schema)); got != want {
			t.Errorf("%s: %v", schema, got)
		}
	}
}
