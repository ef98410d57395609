package doctest

import (
	"slices"
	"testing"

	"github.com/openmas/openmas/agent"
)

// docs/reference/errors.md has every code, and no other.
func TestErrorCodes(t *testing.T) {
	var documented []agent.Code
	for _, cells := range rows(t, "errors.md") {
		documented = append(documented, agent.Code(cells[0]))
	}
	if !slices.Equal(documented, agent.Codes()) {
		t.Errorf("documented are %v, and there are %v", documented, agent.Codes())
	}
}
