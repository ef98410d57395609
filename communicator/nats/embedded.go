package nats

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// embedded is this process's part in the broker that the processes of a project share. The process
// that holds the lock on the state folder runs it:
//
//	the connection is lost, or not there yet -> Dial
//	  the lock is free    -> the process that ran the broker has ended: this one takes over,
//	                         with the same store, and connects to itself
//	  another one has it  -> connect to the address that it wrote
//	  ... but no address  -> it is just starting: the connection dials again
//
// nats.go calls Dial whenever it needs a connection. The process that runs the broker looks now and
// then whether the lock is still in its place: where the state folder was removed, another process
// finds no lock and starts a broker, and the project would be in two parts. Only the process that
// holds the lock is ever dialled, so the token does not reach a program that got the port of an
// ended one.
type embedded struct {
	o   *Options
	dir string

	over    chan struct{} // closed by close
	watches sync.WaitGroup

	mu     sync.Mutex
	closed bool
	lock   *os.File // nil when another process has it
	srv    *broker  // nil unless the lock is held
	last   access   // what the last dial was to
}

// join makes the state folder, and starts the broker if no process runs it.
func join(o *Options) (*embedded, error) {
	dir, err := filepath.Abs(o.StateDir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("the state folder of the embedded broker: %w", err)
	}
	e := &embedded{o: o, dir: dir, over: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.takeOver(); err != nil {
		return nil, fmt.Errorf("start the embedded broker in %s: %w", dir, err)
	}
	if startOf(os.Getpid()) != 0 { // else a frozen process cannot be ended safely
		e.watches.Go(func() { guard(e.dir, o.Logger, e.owner, e.over) })
	}
	return e, nil
}

// options make a connection dial the broker, whichever process runs it.
func (e *embedded) options() []natsgo.Option {
	return []natsgo.Option{
		natsgo.SetCustomDialer(e), natsgo.IgnoreDiscoveredServers(), natsgo.SkipHostLookup(),
		natsgo.UserInfoHandler(func() (string, string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.last.User, e.last.Token
		}),
		natsgo.CustomReconnectDelay(embeddedWaits.Wait),
	}
}

// Dial implements nats.go's CustomDialer. A broker in this process is reached without a socket.
func (e *embedded) Dial(network, _ string) (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the driver is closed")
	}
	if err := e.takeOver(); err != nil {
		e.o.Logger.Error("the embedded broker does not start", "folder", e.dir, "error", err)
		return nil, err
	}
	if e.srv != nil {
		e.last = e.srv.access
		return e.srv.InProcessConn()
	}
	a, err := readAccess(e.dir)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, errors.New("the process that runs the broker is just starting it")
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(e.dir, brokerFile), err)
	}
	e.last = *a
	return net.DialTimeout(network, u.Host, dialTimeout) //nolint:noctx // nats.go asks a dialer without a context
}

// takeOver starts the broker if no other process has the lock. e.mu is held.
func (e *embedded) takeOver() error {
	if e.srv != nil {
		return nil
	}
	if err := os.MkdirAll(e.dir, 0o700); err != nil { // it may have been removed
		return err
	}
	lock, err := tryLock(e.lockFile())
	if err != nil || lock == nil {
		return err
	}
	port := 0
	if old, err := readAccess(e.dir); err == nil && old != nil {
		if u, err := url.Parse(old.URL); err == nil {
			port, _ = strconv.Atoi(u.Port())
		}
		e.o.Logger.Warn("the process that ran the embedded broker has ended, this one takes over", "folder", e.dir,
			"pid",
			old.PID)
	}
	err = removeAccess(e.dir) // before any process dials the old port
	if err == nil {
		e.srv, err = startBroker(e.o, filepath.Join(e.dir, "broker"), freePort(port))
	}
	if err == nil {
		if err = e.srv.access.write(e.dir); err != nil {
			e.srv.stop()
			e.srv = nil
		}
	}
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	e.lock = lock
	e.watches.Go(func() { e.watch(lock) })
	e.o.Logger.Info("the embedded broker runs in this process", "url", e.srv.access.URL, "folder", e.dir)
	return nil
}

func (e *embedded) lockFile() string { return filepath.Join(e.dir, "broker.lock") }

// watch ends the broker when its lock is no longer what other processes find. The connection dials
// again then: another process's broker, or a new one of this process.
func (e *embedded) watch(lock *os.File) {
	tick := time.NewTicker(lockLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-e.over:
			return
		}
		held, err := lock.Stat()
		if err != nil {
			continue // it says nothing about the folder
		}
		found, err := os.Stat(e.lockFile())
		switch {
		case err == nil && os.SameFile(held, found):
			continue
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			continue
		}
		e.abandon(lock)
		return
	}
}

// abandon gives up a broker whose folder was removed.
func (e *embedded) abandon(lock *os.File) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.o.Logger.Error("the state folder of the embedded broker was removed while it ran: events that it kept are lost; "+
		"it is left for the one that the project has now, or a new one", "folder", e.dir, "lock", e.lockFile())
	e.srv.stop()
	e.srv, e.lock = nil, nil
	_ = lock.Close() // nobody else can see it
}

// freePort returns the port if it is free, else -1: the server then takes any.
func freePort(port int) int {
	if port <= 0 {
		return -1
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", addr) //nolint:noctx // binding does not wait
	if err != nil || l.Close() != nil {
		return -1
	}
	return port
}

func (e *embedded) owner() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv != nil
}

func (e *embedded) where() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last.URL
}

// close is called after the connection was closed. It removes the address first: the other
// processes wait for the next one that takes over.
func (e *embedded) close() error {
	e.mu.Lock()
	first := !e.closed
	e.closed = true
	e.mu.Unlock()
	if first {
		close(e.over)
	}
	e.watches.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.srv == nil {
		return nil
	}
	err := removeAccess(e.dir)
	e.srv.stop()
	e.srv = nil
	if err = errors.Join(err, e.lock.Close()); err != nil {
		return fmt.Errorf("stop the embedded broker: %w", err)
	}
	return nil
}
