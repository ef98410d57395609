package communicator_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLocalKeepsTheContract(t *testing.T) {
	const call = "a call is a function call"
	communicatortest.Run(t, communicatortest.Config{
		New: func(*testing.T) communicatortest.Setup {
			return communicatortest.Setup{Communicator: communicator.NewLocal()}
		},
		Lacks: communicatortest.Lacks{
			communicatortest.Connection:   call,
			communicatortest.InputLimit:   call + ": nothing is copied",
			communicatortest.ResultLimit:  call + ": nothing is copied",
			communicatortest.CallerLeaves: call + ": the caller waits for the tool",
		},
	})
}
