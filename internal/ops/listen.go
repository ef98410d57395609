package ops

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/openmas/openmas/mcp/server"
)

// A Listener is the operations socket of one process. Its owner closes it.
type Listener struct {
	net.Listener
	path  string
	token string // empty: who reaches the listener may use it
}

// Listen opens the operations socket of a process, whose name no other process has. It removes what
// dead processes have left, those of other projects too, for which nobody may look any more.
func Listen(ctx context.Context, p Project, process string) (*Listener, error) {
	dir, err := makeFolder()
	if err != nil {
		return nil, err
	}
	sweep(ctx, dir, withFiles)
	return listen(ctx, filepath.Join(dir, p.file(process)), withFiles)
}

func listen(ctx context.Context, path string, file bool) (*Listener, error) {
	l := &Listener{path: path}
	// Whoever looks for processes takes what refuses connections for dead: the socket appears under
	// its name when it accepts them.
	fresh := strings.TrimSuffix(path, suffix) + ".new"
	var err error
	if file {
		err = l.listenTCP(ctx, fresh)
	} else {
		err = l.listenUnix(ctx, fresh)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, path); err != nil {
		return nil, errors.Join(err, l.Listener.Close(), os.Remove(fresh))
	}
	return l, nil
}

func (l *Listener) listenUnix(ctx context.Context, path string) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // it gets another name
	l.Listener = ln
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, ln.Close(), os.Remove(path))
	}
	return nil
}

func (l *Listener) listenTCP(ctx context.Context, path string) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l.Listener, l.token = ln, rand.Text()+rand.Text()
	text, err := json.Marshal(address{ln.Addr().String(), l.token})
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	return nil
}

// Identify says who sends a request: see [server.Options.Identify].
func (l *Listener) Identify(r *http.Request) (server.Identity, error) {
	if l.token != "" {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(l.token)) != 1 {
			return server.Identity{}, errors.New("this is for who runs the system")
		}
	}
	return server.Identity{Identity: Operator}, nil
}

// Close ends the socket, and removes it.
func (l *Listener) Close() error {
	err := os.Remove(l.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(l.Listener.Close(), err)
}
