package nats

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/testkit"
)

// The children of these tests are this test program again, in a role: processes of one project,
// which can be killed.
const (
	roleVar = "OPENMAS_TEST_NATS_ROLE"
	dirVar  = "OPENMAS_TEST_NATS_DIR"
	urlVar  = "OPENMAS_TEST_NATS_URL" // "<url> <token>": instead of the folder
)

// childOptions are the broker that the parent named.
func childOptions() Options {
	if url, token, ok := strings.Cut(os.Getenv(urlVar), " "); ok {
		return Options{Project: "test", URLs: []string{url}, User: "test", Password: token}
	}
	return Options{Project: "test", StateDir: os.Getenv(dirVar)}
}

// child serves an agent, named as its role, until its standard input ends. It prints "owner" or
// "client", and a line at the begin of each call of "hang".
func child(role string) int {
	d, err := Open(context.Background(), childOptions())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	c, err := pubsub.New(d, pubsub.Options{Project: "test"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, err = c.Serve(context.Background(),
		service{role, func(ctx context.Context, call *agent.Call) (*agent.Result, error) {
			switch call.Name {
			case "hang":
				fmt.Println("hanging")
				<-ctx.Done()
				fmt.Println("given up")
				return nil, ctx.Err()
			case "owner":
				return agent.TextResult(fmt.Sprint(d.Owner())), nil
			}
			return &agent.Result{Structured: call.Input}, nil
		}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(map[bool]string{true: "owner", false: "client"}[d.Owner()])
	if _, err := io.ReadAll(os.Stdin); err != nil {
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := d.Close(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

type program struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string
	end   func() error
}

// spawn starts a child and waits for its first line.
func spawn(t testing.TB, role string, env ...string) (p *program, first string) {
	t.Helper()
	testkit.Processes(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p = &program{cmd: exec.Command(self), lines: make(chan string, 100)}
	p.cmd.Env = append(os.Environ(), append(env, roleVar+"="+role)...)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	})
	p.end = sync.OnceValue(func() error {
		_ = p.stdin.Close() // it may be dead
		reading.Wait()
		return p.cmd.Wait()
	})
	t.Cleanup(func() { _ = p.end() }) // tests that care have asked
	return p, testkit.Receive(t, p.lines)
}

func (p *program) kill(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.end() // it was killed
}
