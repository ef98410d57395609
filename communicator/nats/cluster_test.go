package nats

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

// ports returns free ones on loopback.
func ports(t *testing.T, n int) []int {
	t.Helper()
	var all []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().(*net.TCPAddr).Port)
	}
	return all
}

// Three servers on one machine: the one that leads the stream and that the client is connected to
// dies, and what was acknowledged is there.
func TestCluster(t *testing.T) {
	t.Parallel()
	route := ports(t, 3)
	var routes []*url.URL
	for _, p := range route {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", p)})
	}
	servers := map[string]*server.Server{}
	began := time.Now()
	var urls []string
	for i, p := range route {
		name := fmt.Sprintf("n%d", i)
		so := &server.Options{ServerName: name, Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true,
			StoreDir: t.TempDir(), DisableJetStreamBanner: true,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: p}, Routes: routes,
			LameDuckGracePeriod: time.Millisecond}
		if err := admit(so, "test", "secret"); err != nil {
			t.Fatal(err)
		}
		s, err := start(so, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(s) })
		servers[name] = s
		urls = append(urls, s.ClientURL())
	}
	d := open(t, Options{Project: "test", URLs: urls, User: "test", Password: "secret"})
	v := durable(t, d, DurableOptions{AckWait: 2 * time.Second})
	t.Logf("three servers and their streams: %v", time.Since(began).Round(time.Millisecond))
	other := open(t, Options{Project: "test", URLs: urls[2:], User: "test", Password: "secret"})
	serve(t, process(t, other), "callee", echo)
	c := process(t, d)
	testkit.Eventually(t, "an agent at another server is reached", func() bool {
		_, err := c.Dial(t.Context(), "callee")
		return err == nil
	})

	got := make(chan string, 1000)
	listen(t, v, "a", "t", func(_ context.Context, p agent.Event, _ int) error { got <- p.ID; return nil })
	ids := map[string]bool{}
	publish := func(id string) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := v.Publish(ctx, agent.Event{ID: id, Topic: "t"}); err != nil {
			return false
		}
		ids[id] = true
		return true
	}
	for i := range 100 {
		if !publish(fmt.Sprint("before ", i)) {
			t.Fatal("a whole cluster refuses an event")
		}
	}
	stream, err := v.js.Stream(t.Context(), v.eventStream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil || info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
		t.Fatal(info, err)
	}
	leader := info.Cluster.Leader
	killed := time.Now()
	stop(servers[leader])
	testkit.Eventually(t, "an event is kept again", func() bool { return publish("after") })
	t.Logf("the first event was kept %v after the leader's end", time.Since(killed).Round(time.Millisecond))
	for i := range 100 {
		id := fmt.Sprint("then ", i)
		testkit.Eventually(t, "the next too", func() bool { return publish(id) })
	}
	for len(ids) > 0 {
		delete(ids, testkit.Receive(t, got))
	}
}
