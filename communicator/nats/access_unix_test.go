//go:build unix

package nats

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What another user could have written is not believed: it would lead all processes of the project
// to a broker of that user.
func TestAccessOfAnotherUserIsNotBelieved(t *testing.T) {
	write := func(t *testing.T) (dir, path string) {
		dir = t.TempDir()
		if err := (&access{URL: "nats://127.0.0.1:1", User: "u", Token: "t", PID: 1}).write(dir); err != nil {
			t.Fatal(err)
		}
		if a, err := readAccess(dir); err != nil || a == nil {
			t.Fatal(a, err)
		}
		return dir, filepath.Join(dir, brokerFile)
	}
	t.Run("mode", func(t *testing.T) {
		dir, path := write(t)
		for _, mode := range []os.FileMode{0o640, 0o602, 0o644} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if a, err := readAccess(dir); err == nil || a != nil || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("%v: %v %v", mode, a, err)
			}
		}
	})
	t.Run("owner", func(t *testing.T) {
		dir, path := write(t)
		if err := os.Chown(path, os.Geteuid()+12345, -1); err != nil {
			t.Skipf("only root can give a file away: %v", err)
		}
		if a, err := readAccess(dir); err == nil || a != nil || !strings.Contains(err.Error(), "another user") {
			t.Errorf("%v %v", a, err)
		}
	})
}
