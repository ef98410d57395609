// Package systemd tells systemd how a process is that it has started with Type=notify. Elsewhere it
// does nothing.
package systemd

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that the process is up.
func Ready(log *slog.Logger) { tell(log, daemon.SdNotifyReady) }

// Watch says that the process lives, as often as its WatchdogSec wants to hear it, as long as alive
// returns in time; and once ctx has ended, that it stops. The caller calls stop at the end, which
// waits.
func Watch(ctx context.Context, log *slog.Logger, alive func()) (stop func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog is not told that this process lives", "error", err)
	}
	over := make(chan struct{})
	var work sync.WaitGroup
	if interval > 0 {
		work.Go(func() { beat(interval/2, over, log, alive) })
	}
	work.Go(func() {
		select {
		case <-ctx.Done():
			tell(log, daemon.SdNotifyStopping)
		case <-over:
		}
	})
	return func() {
		close(over)
		work.Wait()
	}
}

func beat(every time.Duration, over <-chan struct{}, log *slog.Logger, alive func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			alive()
			tell(log, daemon.SdNotifyWatchdog)
		case <-over:
			return
		}
	}
}

func tell(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd is not told how this process is", "state", state, "error", err)
	}
}
