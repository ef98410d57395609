package interop

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// hang is how long anything may take before it counts as hanging.
const hang = 60 * time.Second

// A process is a program that a test started, with its own group, which ends with the test.
type process struct {
	cmd   *exec.Cmd
	out   bytes.Buffer // stdout; to be read after exited
	lines chan string  // of stderr, until it ends; dropped when nobody reads
	done  chan struct{}
	err   error // set before done is closed

	mu  sync.Mutex
	log []string // stderr
}

// start starts a program; stdin, if not nil, is its input.
func start(t *testing.T, stdin io.Reader, argv ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), lines: make(chan string, 1000), done: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout = stdin, &p.out
	p.cmd.Dir = bench.dir
	p.cmd.WaitDelay = 5 * time.Second
	ownGroup(p.cmd)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		scan := bufio.NewScanner(stderr)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			line := scan.Text()
			p.mu.Lock()
			p.log = append(p.log, line)
			p.mu.Unlock()
			select {
			case p.lines <- line:
			default:
			}
		}
		close(p.lines)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		select {
		case <-p.done: // its id may be another's by now
		default:
			killGroup(p.cmd)
			<-p.done
		}
		if t.Failed() {
			t.Logf("%s said on stderr:\n%s", strings.Join(argv, " "), p.stderr())
		}
	})
	return p
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log[max(0, len(p.log)-60):], "\n")
}

// address is a readiness line, which some servers end in a backslash and an n. A system's log has
// those of its servers within its lines.
var address = regexp.MustCompile(`^SSE_SERVER_URL=(http://[^\\\s]+)`)

// url waits until the program has printed where it listens.
func (p *process) url(t *testing.T) string {
	t.Helper()
	limit := time.After(hang)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				<-p.done
				t.Fatalf("the program ended before it said where it listens: %v\n%s", p.err, p.stderr())
			}
			if m := address.FindStringSubmatch(line); m != nil {
				return m[1]
			}
		case <-limit:
			t.Fatalf("no readiness line within %s:\n%s", hang, p.stderr())
		}
	}
}

// await waits until the program has printed a line on stderr.
func (p *process) await(t *testing.T, said string) {
	t.Helper()
	limit := time.After(hang)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				<-p.done
				t.Fatalf("the program ended before it said %q: %v\n%s", said, p.err, p.stderr())
			}
			if line == said {
				return
			}
		case <-limit:
			t.Fatalf("it did not say %q within %s:\n%s", said, hang, p.stderr())
		}
	}
}

// finish waits for the end of the program, whatever its exit code, and returns its output.
func (p *process) finish(t *testing.T) string {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(hang):
		t.Fatalf("%s runs still after %s:\n%s", strings.Join(p.cmd.Args, " "), hang, p.stderr())
	}
	return p.out.String()
}

// wait is finish for a program whose exit code has to be 0.
func (p *process) wait(t *testing.T) string {
	t.Helper()
	out := p.finish(t)
	if p.err != nil {
		t.Fatalf("%s: %v\nstdout: %s\nstderr: %s", strings.Join(p.cmd.Args, " "), p.err, out, p.stderr())
	}
	return out
}

// awaitHTTP waits until something answers at the URL.
func awaitHTTP(t *testing.T, url string) {
	t.Helper()
	patiently(t, func() error {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close() // nobody reads it
		}
		return err
	})
}

// patiently tries until it works: there is nothing to wait on but a port of another process.
func patiently(t *testing.T, try func() error) {
	t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %s: %v", hang, err)
		}
	}
}

// stop asks the program to end, and wants exit code 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := terminate(p.cmd); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
}
