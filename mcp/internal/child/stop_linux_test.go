package child

import (
	"io"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestChildDiesWithItsParent(t *testing.T) {
	// The parent's group is not killed with it: the child has its own. Its stderr is not ours.
	p, child := starting(t, as("runtime"))
	if err := unix.Kill(p.Pid(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	dead(t, child)
	wait(t, p)
}

// The thread that calls Start may end before the child does.
func TestChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	spec := as("echo")
	spec.Stdio = true
	type result struct {
		p      *Process
		err    error
		thread int
	}
	started := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		p, err := Start(t.Context(), spec)
		started <- result{p, err, unix.Gettid()}
	}()
	r := <-started
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r.thread != os.Getpid() { // the main thread never ends
		for threadAlive(r.thread) {
			runtime.Gosched()
		}
	}
	if _, err := io.WriteString(r.p.Stdin(), "there?\n"); err != nil {
		t.Fatal(err)
	}
	r.p.Stdin().Close()
	if got, err := io.ReadAll(r.p.Stdout()); string(got) != "there?\n" {
		t.Errorf("got %q, %v", got, err)
	}
	wait(t, r.p)
	if r.p.Err() != nil {
		t.Error(r.p.Err())
	}
}

func threadAlive(tid int) bool { return unix.Tgkill(os.Getpid(), tid, 0) == nil }

func TestNoDescriptorLeft(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	once := func() {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				spec := as("echo")
				spec.Stdio = i%2 == 0
				if i%4 == 3 {
					spec.Command = []string{"no-such-tool"}
				}
				p, err := Start(t.Context(), spec)
				if err != nil {
					return
				}
				unheard(p)
				if err := p.Stop(bounded(t)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	once() // whatever the Go runtime opens for itself
	before := count()
	for range 3 {
		once()
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
