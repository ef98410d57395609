package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/openmas/openmas/internal/bus"
	"github.com/openmas/openmas/internal/logs"
)

// broker is a NATS server in this process.
type broker struct {
	*server.Server
	access access
}

// startBroker starts a server on loopback, with JetStream in dir, for one user: the project's, in
// an account of its own. Port -1 is any.
func startBroker(o *Options, dir string, port int) (*broker, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &broker{access: access{User: o.Project, Token: newToken(), PID: os.Getpid(),
		Started: startOf(os.Getpid())}}
	so := &server.Options{ServerName: "openmas-" + o.Project, Host: "127.0.0.1", Port: port, NoSigs: true,
		MaxPayload: embeddedPayload, JetStream: true, StoreDir: dir,
		SyncAlways: o.SyncAlways, DisableJetStreamBanner: true}
	if err := admit(so, o.Project, b.access.Token); err != nil {
		return nil, err
	}
	var err error
	if b.Server, err = start(so, o.Logger); err != nil {
		return nil, err
	}
	b.access.URL = b.ClientURL()
	return b, nil
}

// admit adds a project's user, and its account.
func admit(so *server.Options, project, token string) error {
	allowed, err := permissions(project)
	if err != nil {
		return err
	}
	account := server.NewAccount(project)
	so.Accounts = append(so.Accounts, account)
	so.Users = append(so.Users, &server.User{Username: project, Password: token, Account: account,
		Permissions: allowed})
	return nil
}

// permissions are the subjects of a project, and of JetStream in its account.
func permissions(project string) (*server.Permissions, error) {
	own, err := bus.Subject(project, ">")
	if err != nil {
		return nil, err
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{own, "$JS.API.>", "$JS.ACK.>", "$JS.FC.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{own}},
	}, nil
}

// start starts a server, with JetStream for each of its accounts. stop ends it.
func start(so *server.Options, log *slog.Logger) (*server.Server, error) {
	s, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("make the broker: %w", err)
	}
	l := &serverLog{log: log}
	s.SetLoggerV2(l, false, false, false)
	s.Start()
	ready := s.ReadyForConnections(embeddedStart)
	for _, a := range so.Accounts {
		if !ready {
			break
		}
		account, err := s.LookupAccount(a.Name)
		if err == nil {
			err = account.EnableJetStream(nil, nil)
		}
		if err != nil {
			stop(s)
			return nil, fmt.Errorf("enable JetStream for %s: %w", a.Name, err)
		}
	}
	if !ready || so.JetStream && !s.JetStreamEnabled() {
		stop(s)
		return nil, errors.Join(fmt.Errorf("the broker was not ready within %v", embeddedStart), l.fatal())
	}
	return s, nil
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func (b *broker) stop() { stop(b.Server) }

// serverLog passes on the warnings and errors of the server. Its notices are its own affair.
type serverLog struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string // the last fatal error: the server stops for it, and would end a process of its own
}

func (l *serverLog) line(level slog.Level, format string, v []any) string {
	s := strings.TrimSpace(fmt.Sprintf(format, v...))
	l.log.Log(context.Background(), level, "broker: "+s)
	return s
}

func (l *serverLog) Noticef(format string, v ...any) { l.line(logs.LevelTrace, format, v) }

// Warnf leaves out what a user can do nothing about: the accounts of an embedded server and their
// passwords are made by openmas, for connections on loopback.
func (l *serverLog) Warnf(format string, v ...any) {
	level := slog.LevelWarn
	if strings.HasPrefix(format, "Plaintext passwords detected") {
		level = logs.LevelTrace
	}
	l.line(level, format, v)
}

func (l *serverLog) Errorf(format string, v ...any) { l.line(slog.LevelError, format, v) }
func (l *serverLog) Debugf(format string, v ...any) {}
func (l *serverLog) Tracef(format string, v ...any) {}

func (l *serverLog) Fatalf(format string, v ...any) {
	s := l.line(slog.LevelError, format, v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = s
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return nil
	}
	return errors.New(l.last)
}
