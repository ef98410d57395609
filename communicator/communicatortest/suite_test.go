package communicatortest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/internal/testkit"
)

func runToy(t *testing.T, broken string) {
	var timeout time.Duration
	if broken != "" {
		timeout = 2 * time.Second // it is to fail, for whatever reason
	}
	communicatortest.Run(t, communicatortest.Config{Timeout: timeout, New: func(t *testing.T) communicatortest.Setup {
		callee, err := newToy("", broken)
		if err != nil {
			t.Fatal(err)
		}
		p := communicatortest.NewProxy(t, callee.addr)
		caller, err := newToy(p.Addr, broken)
		if err != nil {
			t.Fatal(err)
		}
		return communicatortest.Setup{Communicator: callee, Caller: caller, Limit: toyLimit, ResultLimit: toyLimit,
			Sever: p.Sever, Hold: p.Hold}
	}})
}

// A communicator with a wire that keeps every promise passes every test, none skipped.
func TestSuiteAcceptsWhatIsRight(t *testing.T) { runToy(t, "") }

const brokenVar = "OPENMAS_TEST_BROKEN_TOY"

// TestBrokenToy is run by TestSuiteFindsWhatIsBroken, in a process of its own, and fails there.
func TestBrokenToy(t *testing.T) {
	if broken := os.Getenv(brokenVar); broken != "" {
		runToy(t, broken)
	}
}

func program(t *testing.T) string {
	t.Helper()
	testkit.Processes(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// runBroken runs TestBrokenToy, or those of its tests whose names match.
func runBroken(t *testing.T, self, broken, tests string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestBrokenToy$/^"+tests+"$")
	cmd.Env = append(os.Environ(), brokenVar+"="+broken)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Of a communicator that never answers, one test is waited for.
func TestSuiteWaitsOnceForSilence(t *testing.T) {
	out, err := runBroken(t, program(t), "mute", ".*")
	if err == nil || !strings.Contains(out, "--- FAIL: TestBrokenToy/an_answer") ||
		strings.Count(out, "--- FAIL: ") != 2 || !strings.Contains(out, "the other tests are not run") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSuiteFindsWhatIsBroken(t *testing.T) {
	self := program(t)
	for broken, test := range map[string]string{
		"twice":    "load/1,000_concurrent_calls",
		"evidence": "lost/after_it_was_dispatched",
		"deadline": "context/the_deadline_reaches_the_tool",
		"cancel":   "context/a_deadline_of_its_own_per_call",
		"drain":    "close/the_communicator_with_a_call_in_flight",
		"leak":     "operations/a_typed_tool",
	} {
		t.Run(broken, func(t *testing.T) {
			out, err := runBroken(t, self, broken, strings.ReplaceAll(test, "/", "$/^"))
			if err == nil || !strings.Contains(out, "--- FAIL: TestBrokenToy/"+test) {
				t.Errorf("%s was not found (%v):\n%s", broken, err, out)
			}
		})
	}
}
