//go:build unix

package telemetry

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

// receiverVar has the address at which the test binary is a receiver of spans and nothing else.
const receiverVar = "OPENMAS_TEST_RECEIVER"

// TestReceiverProcess is the receiver of TestTheReceiverIsKilled. It writes a line for each name of
// a span that it has not had.
func TestReceiverProcess(t *testing.T) {
	addr := os.Getenv(receiverVar)
	if addr == "" {
		t.Skip("it is the process of another test")
	}
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	var mu sync.Mutex
	known := map[string]bool{}
	_ = http.Serve(lis, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // until it is killed
		body, err := io.ReadAll(r.Body)
		m := &collector.ExportTraceServiceRequest{}
		if err != nil || proto.Unmarshal(body, m) != nil {
			http.Error(w, "no spans", http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range m.ResourceSpans {
			for _, s := range rs.ScopeSpans {
				for _, span := range s.Spans {
					if !known[span.Name] {
						known[span.Name] = true
						fmt.Println(span.Name)
					}
				}
			}
		}
	}))
}

// receive starts a receiver, and returns its process, what ends it and what reports the names that
// it has got.
func receive(t *testing.T, addr string) (p *os.Process, kill func(), got func(name string) bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestReceiverProcess$")
	cmd.Env = append(os.Environ(), receiverVar+"="+addr)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	names := map[string]bool{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			mu.Lock()
			names[lines.Text()] = true
			mu.Unlock()
		}
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait() // it was killed
	})
	t.Cleanup(kill)
	got = func(name string) bool {
		mu.Lock()
		defer mu.Unlock()
		return names[name]
	}
	testkit.Eventually(t, "the receiver is up", func() bool { return got("ready") })
	return cmd.Process, kill, got
}

// A receiver that hangs, is killed and comes back during load makes no call slower, its spans need
// no more memory, and what is called after its return arrives.
func TestTheReceiverIsKilled(t *testing.T) {
	testkit.Processes(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	_ = lis.Close()
	receiver, kill, got := receive(t, addr)
	tel, err := Setup(t.Context(), Config{Endpoint: addr, Environ: env(nil)})
	if err != nil {
		t.Fatal(err)
	}
	var phase atomic.Value
	phase.Store("up")
	var mu sync.Mutex
	took := map[string][]time.Duration{}
	var load sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 2 {
		load.Go(func() {
			call := tel.Client(Hop{Communicator: "local"})(ok())
			for pace := time.NewTicker(100 * time.Microsecond); ; {
				select {
				case <-ctx.Done():
					pace.Stop()
					return
				case <-pace.C:
				}
				now := phase.Load().(string)
				began := time.Now()
				_, err := call.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: now})
				d := time.Since(began)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took[now] = append(took[now], d)
				mu.Unlock()
			}
		})
	}
	calls := func(of string) int {
		mu.Lock()
		defer mu.Unlock()
		return len(took[of])
	}
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	const some = 5000 // twice the queue
	testkit.Eventually(t, "spans arrive", func() bool { return got("tools/call a.up") && calls("up") > some })
	before := heap()
	if err := receiver.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	phase.Store("hangs")
	testkit.Eventually(t, "calls go on", func() bool { return calls("hangs") > 2*some })
	kill()
	phase.Store("down")
	testkit.Eventually(t, "calls go on", func() bool { return calls("down") > 2*some })
	during := heap()
	_, _, back := receive(t, addr)
	phase.Store("back")
	testkit.Eventually(t, "spans of calls after its return arrive", func() bool {
		return back("tools/call a.back") && calls("back") > some
	})
	stop()
	load.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	_ = tel.Shutdown(end) // what was lost is in the log
	quantile := func(of string, q float64) time.Duration {
		all := slices.Sorted(slices.Values(took[of]))
		return all[int(float64(len(all)-1)*q)]
	}
	var seen strings.Builder
	for _, of := range []string{"up", "hangs", "down", "back"} {
		fmt.Fprintf(&seen, "%s: %d calls, p50 %v, p99 %v\n", of, len(took[of]), quantile(of, 0.5), quantile(of, 0.99))
	}
	t.Logf("%sheap %.1f MiB, %.1f MiB without the receiver", &seen, before, during)
	for _, of := range []string{"hangs", "down"} {
		if up, now := quantile("up", 0.5), quantile(of, 0.5); now > 3*up+20*time.Microsecond {
			t.Errorf("%s: the median of a call is %v, and %v while all is well", of, now, up)
		}
		// An export takes longer. Some callers may have stood still for want of a processor.
		if long := quantile(of, 0.999); long > 500*time.Millisecond {
			t.Errorf("%s: one of a thousand calls took %v", of, long)
		}
	}
	if during > before+30 {
		t.Errorf("the heap is %.1f MiB without the receiver, %.1f MiB with it", during, before)
	}
}
