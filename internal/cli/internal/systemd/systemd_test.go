//go:build linux

package systemd

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What systemd hears: that the process is ready, that it lives, for as long as it does, and that it
// stops.
func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	told := func() string {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 100)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	Ready(slog.Default())
	if got := told(); got != "READY=1" {
		t.Fatal(got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stuck, free := make(chan struct{}), make(chan struct{})
	asked := 0
	stop := Watch(ctx, slog.Default(), func() {
		if asked++; asked == 3 {
			close(stuck)
			<-free
		}
	})
	for range 2 {
		if got := told(); got != "WATCHDOG=1" {
			t.Fatal(got)
		}
	}
	<-stuck // and says nothing now
	cancel()
	if got := told(); got != "STOPPING=1" {
		t.Fatal(got)
	}
	close(free)
	if got := told(); got != "WATCHDOG=1" {
		t.Fatal(got)
	}
	stop()
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	Ready(slog.Default())
	ctx, cancel := context.WithCancel(t.Context())
	stop := Watch(ctx, slog.Default(), func() { t.Error("asked") })
	cancel()
	stop()
}
