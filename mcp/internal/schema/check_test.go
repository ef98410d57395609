package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestVerdictsAreBounded(t *testing.T) {
	var c Checker
	c.Input(json.RawMessage(`{"type":"object","title":"` + strings.Repeat("x", maxVerdictBytes) + `"}`))
	if n := len(c.inputs); n != 0 {
		t.Error("a large schema is remembered")
	}
	for i := range maxVerdicts + 1 {
		c.Input(json.RawMessage(fmt.Sprintf(`{"type":"object","title":"%d"}`, i)))
		if n := len(c.inputs); n > maxVerdicts || n == 0 {
			t.Fatalf("%d are remembered", n)
		}
	}
}
