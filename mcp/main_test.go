package mcp

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// noExpress makes all tests run without the express lane, which must not make a difference:
// OPENMAS_TEST_EXPRESS=off, with -count=1, since the cache of tests does not know the variable.
var noExpress = os.Getenv("OPENMAS_TEST_EXPRESS") == "off"

// TestMain lets the test binary stand in for the programs that sessions start.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(playRole(role))
	}
	goleak.VerifyTestMain(m)
}
