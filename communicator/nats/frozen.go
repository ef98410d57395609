package nats

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	// greetEvery is the time between two looks at whether the broker is alive, greetWithin how long
	// it may take to greet who connects. Two in a row that fail are proof against a process that is
	// suspended: one may fail because this process was stopped as well. One that is not may only
	// be slow, on a machine with too much to do: after so many it is frozen in another way.
	greetEvery      = 500 * time.Millisecond
	greetWithin     = 1750 * time.Millisecond
	missesSuspended = 2
	missesSilent    = 12
)

// guard ends the process that runs the broker when it is frozen: suspended by a signal, it keeps
// the lock and answers nobody, and no other process could take over. It is killed, so that it never
// wakes up beside its successor: no two may write one store. owner reports whether it is this
// process; guard returns when over is closed.
func guard(dir string, log *slog.Logger, owner func() bool, over <-chan struct{}) {
	tick := time.NewTicker(greetEvery)
	defer tick.Stop()
	misses, last := 0, access{}
	for {
		select {
		case <-tick.C:
		case <-over:
			return
		}
		if owner() {
			misses = 0
			continue
		}
		a, err := readAccess(dir)
		if err != nil || a == nil || a.Started == 0 || greets(a.URL) {
			misses = 0
			continue
		}
		if *a != last {
			misses, last = 0, *a
		}
		if misses++; misses < missesSuspended || misses < missesSilent && !suspended(a.PID) {
			continue
		}
		misses = 0
		switch ended, err := endProcess(a.PID, a.Started); {
		case err != nil:
			log.Error("the process that runs the embedded broker is frozen, and cannot be ended", "pid", a.PID,
				"folder", dir, "error", err)
		case ended:
			log.Error("the process that ran the embedded broker was frozen, and has been ended (SIGKILL): another "+
				"one takes over", "pid", a.PID, "folder", dir)
		}
	}
}

// greets reports whether a broker says its first line to who connects. One that refuses connections
// has ended, or is about to be there: that is no sign of a frozen one.
func greets(at string) bool {
	u, err := url.Parse(at)
	if err != nil {
		return true
	}
	conn, err := net.DialTimeout("tcp", u.Host, greetWithin) //nolint:noctx // it has a timeout
	if err != nil {
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	defer func() { _ = conn.Close() }() // its answer is all that counts
	if err := conn.SetDeadline(time.Now().Add(greetWithin)); err != nil {
		return true
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.HasPrefix(line, "INFO ") || !errors.Is(err, os.ErrDeadlineExceeded)
}
