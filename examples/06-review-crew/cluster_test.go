//go:build unix

package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/openmas/openmas/internal/testkit"
)

// hosts are the agents of each of the three processes that share the project.
var hosts = []string{"editor,collector", "complexity,linter", "historian"}

// The same project file as one process, which the other tests of this package are about, and as
// three: with the broker embedded in one of them, on a NATS cluster of three servers, and each in a
// network of its own. The report is the same.
func TestThreeProcesses(t *testing.T) {
	root, want := tree(t), golden(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	same := func(t *testing.T, commands [][]string, urls ...string) {
		state := t.TempDir()
		sets := []string{"--set", "broker.type=nats", "--set", "agents.editor.config.root=" + root, "--set",
			"agents.complexity.env={GORACE: atexit_sleep_ms=0}"}
		if len(urls) > 0 {
			sets = append(sets, "--set", "broker.urls=["+strings.Join(urls, ", ")+"]")
		}
		var all []*process
		for i, only := range hosts {
			args := append(slices.Clone(sets), "--agents", only)
			if i == 0 {
				args = append(args, "--once")
			}
			all = append(all, launch(t, state, commands[i], args...))
		}
		if code := all[0].code(t); code != 0 {
			t.Fatalf("exit %d\n%s\n%s", code, &all[0].err, &all[1].err)
		}
		if got := all[0].report(t); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		for _, p := range all[1:] {
			if err := p.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if code := p.code(t); code != 0 {
				t.Errorf("exit %d\n%s", code, &p.err)
			}
		}
	}
	here := [][]string{{exe}, {exe}, {exe}}
	t.Run("embedded broker", func(t *testing.T) { same(t, here) })
	t.Run("cluster of three", func(t *testing.T) { same(t, here, natsCluster(t)...) })
	t.Run("networks of their own", func(t *testing.T) {
		address, in := networks(t)
		s := natsServer(t, &server.Options{Host: address, Port: -1})
		var commands [][]string
		for _, prefix := range in {
			commands = append(commands, append(prefix, exe))
		}
		same(t, commands, s.ClientURL())
	})
}

// natsCluster runs three servers on loopback, each with routes to the others.
func natsCluster(t *testing.T) (urls []string) {
	t.Helper()
	var routes []*url.URL
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var all []*server.Server
	for i, r := range routes {
		_, port, _ := net.SplitHostPort(r.Host)
		o := &server.Options{ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: -1,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1"}, Routes: routes}
		if _, err := fmt.Sscan(port, &o.Cluster.Port); err != nil {
			t.Fatal(err)
		}
		s := natsServer(t, o)
		all, urls = append(all, s), append(urls, s.ClientURL())
	}
	testkit.Eventually(t, "the servers know each other", func() bool {
		return !slices.ContainsFunc(all, func(s *server.Server) bool { return s.NumRoutes() == 0 })
	})
	return urls
}

func natsServer(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(hang) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

// networks makes three network namespaces on a bridge, and removes them at the end. It returns our
// own address there, and how to run a command in each. It skips the test where that is not allowed.
func networks(t *testing.T) (address string, run [][]string) {
	t.Helper()
	ip := func(args ...string) error {
		out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("the command ip is not installed")
	}
	bridge := fmt.Sprintf("om%d", os.Getpid()%100000)
	clean := func(args ...string) {
		t.Cleanup(func() {
			if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
			}
		})
	}
	if err := ip("link", "add", bridge, "type", "bridge"); err != nil {
		t.Skipf("no network namespaces here: %v", err)
	}
	clean("link", "del", bridge)
	subnet := fmt.Sprintf("10.%d.%d.", 200+os.Getpid()%50, os.Getpid()/50%250)
	must := func(args ...string) {
		if err := ip(args...); err != nil {
			t.Fatal(err)
		}
	}
	must("addr", "add", subnet+"1/24", "dev", bridge)
	must("link", "set", bridge, "up")
	for i := range hosts {
		ns, cable := fmt.Sprintf("%sn%d", bridge, i), fmt.Sprintf("%sv%d", bridge, i)
		if err := ip("netns", "add", ns); err != nil {
			t.Skipf("no network namespaces here: %v", err)
		}
		clean("netns", "del", ns)
		must("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", ns)
		must("link", "set", cable, "master", bridge, "up")
		must("-n", ns, "addr", "add", fmt.Sprintf("%s%d/24", subnet, i+2), "dev", "eth0")
		must("-n", ns, "link", "set", "eth0", "up")
		must("-n", ns, "link", "set", "lo", "up")
		run = append(run, []string{"ip", "netns", "exec", ns})
	}
	// Addresses take a moment to be usable.
	testkit.Eventually(t, "the bridge has its address", func() bool {
		l, err := net.Listen("tcp", subnet+"1:0")
		return err == nil && l.Close() == nil
	})
	return subnet + "1", run
}
