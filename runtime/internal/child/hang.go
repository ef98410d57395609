package child

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/logs"
)

// Patience is how long a program may take to describe its agents: it does nothing else.
type Patience struct {
	Quiet time.Duration // from then on the log says that it is waited for; 0: 3 s
	Most  time.Duration // 0: 30 s
}

// mayHang is what a program may be doing that does not answer.
const mayHang = "its main has not called openmas.Main, or a constructor or Capabilities of an agent takes that long"

// awaited waits for the end of a program that was started, and says so in the log if it takes a
// while.
func awaited(ctx context.Context, cmd *exec.Cmd, wait Patience, log *slog.Logger) error {
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if errors.Is(err, exec.ErrWaitDelay) { // it has ended well, and what it has started holds its output
			_ = kill(cmd.Process) // it may have ended now
			err = nil
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return <-ended
	case <-time.After(wait.Quiet):
	}
	log.Warn("waiting for the program to say what its agents offer: "+mayHang,
		"program", filepath.Base(cmd.Path), "pid", cmd.Process.Pid, "for", wait.Quiet, "at most", wait.Most)
	return <-ended
}

// cancelWith has a program that runs into its time say where it hangs, as far as it is Go. One that
// nobody wants an answer of any more is killed. What it has started ends with it.
func cancelWith(ctx context.Context, cmd *exec.Cmd, late error) {
	together(cmd)
	cmd.Cancel = func() error {
		if errors.Is(context.Cause(ctx), late) {
			return abort(cmd.Process)
		}
		return kill(cmd.Process)
	}
}

// offsets are what the stacks of a dump have after each line of a file.
var offsets = regexp.MustCompile(`(?m) \+0x[0-9a-f]+( fp=.*)?$`)

// lateError says where a program hangs that has not answered, which was late.
func lateError(program string, late error, text string) error {
	err := fmt.Errorf("the program %s does not say what its agents offer: %w", filepath.Base(program), late)
	text, dump, _ := strings.Cut(text, "SIGQUIT: quit")
	if _, stack, ok := strings.Cut(dump, "\ngoroutine 1 "); ok {
		stack, _, _ = strings.Cut(stack, "\n\n")
		short, _ := logs.OwnFrames("goroutine 1 " + offsets.ReplaceAllString(stack, ""))
		text = strings.TrimLeft(strings.TrimRight(text, "\n")+"\nits main goroutine:\n"+short, "\n")
	}
	if text = strings.TrimSpace(text); text != "" {
		err = fmt.Errorf("%w\n%s", err, text)
	}
	return err
}
