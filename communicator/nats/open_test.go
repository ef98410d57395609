package nats

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/internal/testkit"
)

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"project":    {Project: "a.b", URLs: []string{"nats://x"}},
		"no broker":  {Project: "a"},
		"two ways":   {Project: "a", URLs: []string{"nats://x"}, User: "u", Token: "t"},
		"half a key": {Project: "a", URLs: []string{"nats://x"}, CertFile: "c"},
		"no nkey":    {Project: "a", URLs: []string{"nats://127.0.0.1:1"}, NkeyFile: "/does/not/exist"},
		"no creds":   {Project: "a", URLs: []string{"nats://127.0.0.1:1"}, CredsFile: "/does/not/exist"},
		"no CA":      {Project: "a", URLs: []string{"nats://127.0.0.1:1"}, CAFile: "/does/not/exist"},
	} {
		if d, err := Open(t.Context(), o); err == nil {
			t.Errorf("%s: accepted", name)
			_ = d.Close()
		}
	}
}

func TestWrongCredentials(t *testing.T) {
	b := testBroker(t)
	host := strings.TrimPrefix(b.access.URL, "nats://")
	for name, o := range map[string]Options{
		"password": {URLs: []string{b.access.URL}, User: "test", Password: "very-secret"},
		"token":    {URLs: []string{b.access.URL}, Token: "very-secret"},
		"url":      {URLs: []string{"nats://test:very-secret@" + host}},
		"nobody":   {URLs: []string{b.access.URL}},
	} {
		o.Project, o.Wait = "test", -1 // for ever, but not for this
		_, err := Open(t.Context(), o)
		if !errors.Is(err, ErrAuth) || strings.Contains(err.Error(), "very-secret") ||
			!strings.Contains(err.Error(), host) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Open(t.Context(), Options{Project: "test", URLs: []string{"nats://u:very-secret@ho st:1"}})
	if err == nil || strings.Contains(err.Error(), "very-secret") {
		t.Error(err)
	}
}

func TestNkey(t *testing.T) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pair.PublicKey()
	seed, _ := pair.Seed()
	file := filepath.Join(t.TempDir(), "user.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := start(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true,
		Nkeys: []*server.NkeyUser{{Nkey: public}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(s) })
	d := open(t, Options{Project: "test", URLs: []string{s.ClientURL()}, NkeyFile: file})
	if err := d.Publish("om.1.test.x", message.NewMessage("", nil)); err != nil || d.URL() != s.ClientURL() ||
		d.Owner() {
		t.Error(err, d.URL())
	}
}

// A broker that is down at the start is waited for, if that is asked.
func TestWaitForBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o := Options{Project: "test", URLs: []string{"nats://test:secret@" + l.Addr().String()}}
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Fatal(err)
	}
	o.Wait = 300 * time.Millisecond
	if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatal(err)
	}
	o.Wait = -1
	ctx, cancel := context.WithCancel(t.Context())
	o.OnWait = func(string, error) { cancel() }
	if _, err := Open(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	started := make(chan *server.Server, 1)
	o.OnWait = func(url string, err error) {
		if said <- url; len(said) == 1 {
			so := &server.Options{Host: "127.0.0.1", Port: port, NoSigs: true}
			if err := admit(so, "test", "secret"); err != nil {
				t.Error(err)
			}
			so.Accounts = nil // no JetStream here
			so.Users[0].Account = nil
			s, err := start(so, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
			}
			started <- s
		}
	}
	d := open(t, o)
	defer stop(<-started)
	if url := <-said; url != "nats://"+l.Addr().String() {
		t.Error(url)
	}
	if err := d.Publish("om.1.test.x", message.NewMessage("", nil)); err != nil {
		t.Error(err)
	}
}

// The user of another project sees nothing of ours, and does not get in our way.
func TestProjectsAreApart(t *testing.T) {
	so := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
		DisableJetStreamBanner: true}
	for _, p := range []string{"test", "spy"} {
		if err := admit(so, p, "secret of "+p); err != nil {
			t.Fatal(err)
		}
	}
	s, err := start(so, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(s) })
	client := func(project string) *Driver {
		return open(t, Options{Project: project, URLs: []string{s.ClientURL()}, User: project,
			Password: "secret of " + project})
	}
	ours, spy := client("test"), client("spy")
	serve(t, process(t, ours), "callee", echo)
	for _, subject := range []string{"om.1.test.>", ">", "om.>", "$JS.EVENT.>", "_INBOX.>"} {
		sub, err := spy.nc.SubscribeSync(subject)
		if err == nil {
			_, err = sub.NextMsg(5 * time.Second)
		}
		if !errors.Is(err, natsgo.ErrPermissionViolation) {
			t.Errorf("subscribe to %s: %v", subject, err)
		}
	}
	v := durable(t, ours, DurableOptions{})
	keep(t, v, agent.Event{ID: "ours", Topic: "t"})
	theirs := durable(t, spy, DurableOptions{})
	if _, err := theirs.js.Stream(t.Context(), "om-test-events"); err == nil {
		t.Error("it sees our stream")
	}
	c, err := pubsub.New(spy, pubsub.Options{Project: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if p, err := c.Dial(ctx, "callee"); err == nil {
		t.Errorf("it dialled %v", p.Info())
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, process(t, ours), "callee").Call(t.Context(),
		&agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"}); err != nil {
		t.Error(err)
	}
}

// Once the broker is back, whatever is sent makes the connection at once, however long it was away.
func TestWhoSendsDoesNotWaitForTheBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	so := &server.Options{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, NoSigs: true}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	run := func() *server.Server {
		s, err := start(so.Clone(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := run()
	d := open(t, Options{Project: "test", URLs: []string{s.ClientURL()},
		waits: backoff.Policy{Initial: time.Hour, Multiplier: 1, Max: time.Hour}})
	stop(s)
	send := func() bool { return d.Publish("om.1.test.x", message.NewMessage("", nil)) == nil }
	testkit.Eventually(t, "the connection is lost", func() bool { return !send() })
	s = run()
	defer stop(s)
	testkit.Eventually(t, "it is back", send)
}
