package nats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/bus"
)

// ErrAuth says that the broker refused the credentials.
var ErrAuth = errors.New("the broker refused the credentials")

// Open connects to the broker. It returns when the connection is up. From then on the driver
// reconnects by itself and for ever: it tries at least once a second, and at once, though no more
// than once a second, when something is to be sent; with the embedded broker it tries four times a
// second. Errors never contain a secret. Refused credentials are [ErrAuth].
func Open(ctx context.Context, o Options) (*Driver, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	d := &Driver{o: o, lost: map[int]func(error){}, subs: map[io.Closer]struct{}{}}
	inbox, err := bus.Subject(o.Project, "inbox")
	if err != nil {
		return nil, err
	}
	opts := []natsgo.Option{natsgo.Name(o.Name), natsgo.CustomInboxPrefix(inbox), natsgo.Timeout(dialTimeout),
		natsgo.MaxReconnects(-1), natsgo.ReconnectBufSize(-1),
		natsgo.CustomReconnectDelay(o.waits.Wait), natsgo.IgnoreAuthErrorAbort(),
		natsgo.PingInterval(pingEvery), natsgo.MaxPingsOutstanding(pingsMissed),
		natsgo.FlusherTimeout(writeTimeout), natsgo.DisconnectErrHandler(d.disconnected),
		natsgo.ReconnectHandler(d.reconnected), natsgo.ErrorHandler(d.failed),
		natsgo.PermissionErrOnSubscribe(true)}
	wait := o.Wait
	if len(o.URLs) == 0 {
		if d.embedded, err = join(&d.o); err != nil {
			return nil, err
		}
		o.URLs = []string{"nats://127.0.0.1:4222"} // whatever: the dialer knows better
		opts = append(opts, d.embedded.options()...)
		wait = embeddedStart
	} else {
		more, err := o.external()
		if err != nil {
			return nil, err
		}
		opts = append(opts, more...)
	}
	if d.nc, err = d.connect(ctx, o.URLs, wait, opts); err != nil {
		if d.embedded != nil {
			err = errors.Join(err, d.embedded.close())
		}
		return nil, err
	}
	return d, nil
}

// connect tries until it succeeds, the credentials are refused, or wait is over.
func (d *Driver) connect(ctx context.Context, urls []string, wait time.Duration, opts []natsgo.Option) (*natsgo.Conn,
	error) {
	waits := brokerWaits
	if d.embedded != nil {
		waits = embeddedWaits
	}
	began := time.Now()
	for try := 1; ; try++ {
		nc, err := connectOnce(urls, opts)
		if err == nil {
			return nc, nil
		}
		where := d.where()
		switch {
		case isAuth(err):
			return nil, fmt.Errorf("connect to the NATS broker %s: %w (%w)", where, ErrAuth, d.o.redact(err))
		case errors.Is(err, natsgo.ErrNoServers):
			err = errors.New("nobody answers there")
		default:
			err = d.o.redact(err)
		}
		if d.o.OnWait != nil && wait != 0 {
			d.o.OnWait(where, err)
		}
		pause := waits.Wait(try)
		if left := wait - time.Since(began); wait >= 0 && left < pause {
			if left <= 0 {
				return nil, fmt.Errorf("connect to the NATS broker %s: %w", where, err)
			}
			pause = left
		}
		if end := backoff.Sleep(ctx, pause); end != nil {
			return nil, fmt.Errorf("connect to the NATS broker %s: %w: %w", where, err, end)
		}
	}
}

func connectOnce(urls []string, opts []natsgo.Option) (*natsgo.Conn, error) {
	o := natsgo.GetDefaultOptions()
	o.Servers = urls
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	return o.Connect()
}

func isAuth(err error) bool {
	for _, auth := range []error{natsgo.ErrAuthorization, natsgo.ErrAuthExpired, natsgo.ErrAuthRevoked,
		natsgo.ErrAccountAuthExpired} {
		if errors.Is(err, auth) {
			return true
		}
	}
	return false
}
