//go:build unix

package guard

import (
	"bufio"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// endLimit bounds how long the guard looks for processes that start others as fast as it kills
	// them; between looks it waits for endPause.
	endLimit = 10 * time.Second
	endPause = 5 * time.Millisecond
)

func serve(mark Mark, in io.Reader) error {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	hide()
	groups := map[int]bool{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		group, err := strconv.Atoi(line)
		if err != nil || group == 0 || line[0] != '+' && line[0] != '-' {
			return fmt.Errorf("no process group: %q", line)
		}
		if group > 0 {
			groups[group] = true
		} else {
			delete(groups, -group)
		}
	}
	for group := range groups {
		unix.Kill(-group, unix.SIGKILL) //nolint:errcheck // it has ended, which is as well
	}
	for began := time.Now(); time.Since(began) < endLimit; <-time.After(endPause) {
		if Signal(mark, unix.SIGKILL, 0) == 0 {
			return nil
		}
	}
	return fmt.Errorf("processes of %s are still there %v after they were killed", mark, endLimit)
}
