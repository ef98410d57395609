package nats

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/internal/testkit"
)

// A stream is changed where a process wants another, and is left alone by all that want the same.
// Where the disk has no room for the streams, the error says what changes that.
func TestNoRoomForStreams(t *testing.T) {
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"embedded": {Options{Project: "test", StateDir: t.TempDir()}, "have the key state name a folder"},
		"external": {testBroker(t).options(), "raise max_file_store of its JetStream"},
	} {
		_, err := open(t, tt.o).Durable(t.Context(), DurableOptions{MaxBytes: 1 << 55})
		if err == nil || !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), "insufficient storage") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStreamsAreMadeOnce(t *testing.T) {
	so := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
		DisableJetStreamBanner: true}
	if err := admit(so, "test", "secret"); err != nil {
		t.Fatal(err)
	}
	// A project may not subscribe to what the server reports about its streams.
	so.Users = append(so.Users, &server.User{Username: "watcher", Password: "secret", Account: so.Accounts[0]})
	srv, err := start(so, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(srv) })
	watcher, err := natsgo.Connect(srv.ClientURL(), natsgo.UserInfo("watcher", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Close)
	const name = "om-test-events"
	news, err := watcher.SubscribeSync("$JS.EVENT.ADVISORY.STREAM.*." + name)
	if err == nil {
		err = watcher.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Project: "test", URLs: []string{srv.ClientURL()}, User: "test", Password: "secret"}
	var v *Durable
	for _, age := range []time.Duration{time.Hour, time.Hour, 2 * time.Hour} {
		v = durable(t, open(t, o), DurableOptions{MaxAge: age})
		s, err := v.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CachedInfo().Config.MaxAge; got != age {
			t.Errorf("events are kept for %v, want %v", got, age)
		}
	}
	if err := v.js.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	var got []string
	for !slices.Contains(got, "DELETED") {
		m, err := news.NextMsg(testkit.Hang)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Split(m.Subject, ".")[4])
	}
	if want := []string{"CREATED", "UPDATED", "DELETED"}; !slices.Equal(got, want) {
		t.Errorf("the stream was %v, want %v", got, want)
	}
}
