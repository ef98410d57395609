package child

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// hangVar in the environment makes the test binary a program that does not call openmas.Main.
const hangVar = "OPENMAS_TEST_HANG"

// A program that does not answer is told of in the log, once, and is waited for until its time is
// over or nobody wants its answer any more.
func TestAProgramThatHangs(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("interrupt")
	for name, c := range map[string]struct {
		wait Patience
		stop bool // when it was told of, or at once
		want string
		told int
	}{
		"its time is over": {Patience{Quiet: time.Hour, Most: time.Second}, false,
			"agents offer: it has not answered within 1s: its main has not called openmas.Main", 0},
		"it is stopped meanwhile":     {Patience{Quiet: time.Millisecond, Most: time.Hour}, true, "interrupt", 1},
		"it is stopped before a word": {Patience{Quiet: time.Hour, Most: time.Hour}, true, "interrupt", 0},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Processes(t)
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			var log testkit.Buffer
			answered := make(chan error, 1)
			go func() {
				_, err := Ask(ctx, []string{exe}, []string{hangVar + "=1"}, t.TempDir(), nil, c.wait,
					slog.New(slog.NewTextHandler(&log, nil)))
				answered <- err
			}()
			if c.stop && c.told > 0 {
				testkit.Eventually(t, "it is told of", func() bool { return log.String() != "" })
			}
			if c.stop {
				stop(stopped)
			}
			err := testkit.Receive(t, answered)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
			if !c.stop && runtime.GOOS != "windows" && (strings.Contains(err.Error(), " fp=") ||
				!strings.Contains(err.Error(), "its main goroutine:\n")) {
				t.Errorf("it does not say where it hangs: %v", err)
			}
			if strings.Count(log.String(), "waiting for the program") != c.told ||
				c.told > 0 && !strings.Contains(log.String(), fmt.Sprintf(`"at most"=%v`, c.wait.Most)) {
				t.Errorf("the log: %s", &log)
			}
		})
	}
}

// leaveVar in the environment makes the test binary a program that answers, and leaves a process
// behind that holds its output.
const leaveVar = "OPENMAS_TEST_LEAVE"

func leave() {
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{hangVar + "=1"}, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	if err := describe(nil, nil, os.Stdout); err != nil {
		panic(err)
	}
}

// A process that a program leaves behind does not cost its answer.
func TestAProgramThatLeavesAProcess(t *testing.T) {
	testkit.Processes(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Ask(t.Context(), []string{exe}, []string{leaveVar + "=1", "GORACE=" + testkit.NoExitSleep}, t.TempDir(),
		nil, Patience{}, slog.New(slog.DiscardHandler))
	if err != nil || all.Agents == nil {
		t.Errorf("%+v, %v", all, err)
	}
}
