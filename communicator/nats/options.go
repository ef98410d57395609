package nats

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/bus"
)

// Options configures a [Driver]: which broker, and as which user. Project must be set, and one of
// URLs and StateDir; all other zero values are defaults.
type Options struct {
	// Project keeps projects apart: letters, digits, - and _.
	Project string
	// Name is shown in the server's list of connections. Default "openmas".
	Name string
	// URLs of the servers, "nats://host:4222" or "tls://…". None: the broker embedded in the
	// project's processes, which needs StateDir.
	URLs []string
	// StateDir is the folder of the embedded broker, the same for all processes of the project on
	// this machine and for them alone. Open makes it.
	StateDir string
	// SyncAlways makes the embedded broker sync each durable event to the disk, so that they
	// survive a power cut too, and not only the end of its process.
	SyncAlways bool

	// User and Password, or Token, or CredsFile (a JWT and its key), or NkeyFile (a seed) for
	// external servers.
	User, Password, Token string
	CredsFile, NkeyFile   string
	// CAFile has the trusted authorities in PEM; default: the system's. CertFile and KeyFile are
	// the client's certificate. With any of them TLS is required.
	CAFile, CertFile, KeyFile string

	// Wait is how long Open waits for a broker that is down; 0: not at all, negative: for as long
	// as its context lasts. Refused credentials are never waited for.
	Wait time.Duration
	// OnWait is called after each failed attempt, unless Wait is 0. url has no credentials in it.
	OnWait func(url string, err error)

	// Queue is how many messages wait for one subscription, and QueueBytes their size. Messages
	// beyond that are lost, with a warning. Default 65536 and 64 MiB.
	Queue, QueueBytes int
	// Redeliver is how often a message that was nacked is delivered again before it is
	// dead-lettered; default 3, negative: never. Backoff is the time before the first redelivery,
	// doubled with each, at most 10 s. Default 10 ms.
	Redeliver int
	Backoff   time.Duration
	// OnDeadLetter gets the messages that were received and will not be delivered any more. It is
	// quick and may be called concurrently. Default: a line in the log.
	OnDeadLetter func(topic string, m *message.Message, reason error)
	// Logger defaults to one that discards.
	Logger *slog.Logger

	waits backoff.Policy // between attempts to reach external servers again; zero: lostWaits
}

func (o *Options) complete() error {
	if _, err := bus.Subject(o.Project, ""); err != nil {
		return err
	}
	if len(o.URLs) == 0 && o.StateDir == "" {
		return errors.New("a NATS broker needs urls, or a state folder for the embedded one")
	}
	if o.waits == (backoff.Policy{}) {
		o.waits = lostWaits
	}
	ways := 0
	for _, set := range []bool{o.User != "" || o.Password != "", o.Token != "", o.CredsFile != "", o.NkeyFile != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("more than one way to authenticate: give one of user and password, token, creds file, nkey " +
			"file")
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return errors.New("a TLS certificate needs its key and the other way round")
	}
	o.Name = cmp.Or(o.Name, "openmas")
	o.Queue, o.QueueBytes = cmp.Or(o.Queue, defaultQueue), cmp.Or(o.QueueBytes, defaultQueueBytes)
	o.Redeliver, o.Backoff = cmp.Or(o.Redeliver, defaultRedeliver), cmp.Or(o.Backoff, defaultBackoff)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnDeadLetter == nil {
		o.OnDeadLetter = func(topic string, m *message.Message, reason error) {
			o.Logger.Warn("a message was dead-lettered", "topic", topic, "message", m.UUID, "reason", reason)
		}
	}
	return nil
}

// external returns the options of nats.go for servers outside this project.
func (o *Options) external() ([]natsgo.Option, error) {
	var opts []natsgo.Option
	switch {
	case o.User != "" || o.Password != "":
		opts = append(opts, natsgo.UserInfo(o.User, o.Password))
	case o.Token != "":
		opts = append(opts, natsgo.Token(o.Token))
	case o.CredsFile != "":
		opts = append(opts, natsgo.UserCredentials(o.CredsFile))
	case o.NkeyFile != "":
		key, err := natsgo.NkeyOptionFromSeed(o.NkeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the nkey file %s: %w", o.NkeyFile, err)
		}
		opts = append(opts, key)
	}
	if o.CAFile != "" {
		opts = append(opts, natsgo.RootCAs(o.CAFile))
	}
	if o.CertFile != "" {
		opts = append(opts, natsgo.ClientCert(o.CertFile, o.KeyFile))
	}
	return opts, nil
}

// redactedURLs returns the URLs without credentials.
func (o *Options) redactedURLs() string {
	var all []string
	for _, s := range o.URLs {
		if u, err := url.Parse(s); err == nil {
			u.User = nil
			s = u.String()
		} else if i := strings.LastIndexByte(s, '@'); i >= 0 {
			s = s[i+1:]
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// redact replaces the secrets in an error's text.
func (o *Options) redact(err error) error {
	secrets := []string{o.Password, o.Token}
	for _, s := range o.URLs {
		if i := strings.LastIndexByte(s, '@'); i >= 0 {
			_, userinfo, _ := strings.Cut(s[:i], "//")
			_, password, _ := strings.Cut(userinfo, ":")
			secrets = append(secrets, userinfo, password)
		}
	}
	text := err.Error()
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
