package difftest

import (
	"flag"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// serverVariable makes the test binary the scripted server on stdio. It holds the protocol version.
const serverVariable = "DIFFTEST_SERVER"

var quiet = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) {
	if version := os.Getenv(serverVariable); version != "" {
		os.Exit(serveStdin(version))
	}
	if address := os.Getenv(relayVariable); address != "" {
		os.Exit(relay(address))
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "32") // conversations mostly wait
	goleak.VerifyTestMain(m)
}
