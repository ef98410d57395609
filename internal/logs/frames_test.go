package logs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

const stackOfPanic = `goroutine 23 [running]:
demo/desk.(*Desk).lend(...)
	/home/ada/demo/desk/desk.go:12 +0x1d
main.(*Host).Welcome(0xc000012345, {0x7f1, 0x3})
	/home/ada/demo/main.go:35 +0x99
github.com/openmas/openmas/agent.NewTool[...].func1({0x1, 0x2})
	/home/ada/openmas/agent/tool.go:80 +0x55
example.com/other.Do()
	/home/ada/go/pkg/mod/example.com/other@v1.2.0/do.go:3 +0x1
net/http.HandlerFunc.ServeHTTP(...)
	/usr/local/go/src/net/http/server.go:2294
github.com/openmas/openmas/agent.(*Host).Call(0xc0001)
	/home/ada/openmas/agent/host.go:109 +0x66
created by github.com/openmas/openmas/mcp/server.(*conn).serve in goroutine 1
	/home/ada/openmas/mcp/server/call.go:9 +0x77
`

const own = `demo/desk.(*Desk).lend(...)
	/home/ada/demo/desk/desk.go:12 +0x1d
main.(*Host).Welcome(...)
	/home/ada/demo/main.go:35 +0x99`

func TestOwnFrames(t *testing.T) {
	crashed := "panic: not today\n\t[recovered]\n\n" + stackOfPanic +
		"\ngoroutine 1 [select]:\nmain.main()\n\t/x/main.go:1\n"
	few := "goroutine 1 [running]:\nmain.main()\n\t/x/main.go:1\n" +
		"runtime.main()\n\t/usr/local/go/src/runtime/proc.go:283\n"
	python := "Traceback (most recent call last):\n  File x\n"
	foreign := strings.NewReplacer("demo/desk.(", "strings.(", "main.(", "example.com/other.(",
		"/home/ada/demo/main.go", "/go/pkg/mod/example.com/other@v1.2.0/x.go").Replace(stackOfPanic)
	for name, c := range map[string]struct {
		stack, want string
		left        int
	}{
		"a panic that was recovered": {stackOfPanic, own, 5},
		"the end of a process":       {crashed, "panic: not today\n\t[recovered]\n" + own, 6},
		"few frames":                 {few, few, 0},
		"a traceback of Python":      {python, python, 0},
		"a line":                     {"as before", "as before", 0},
	} {
		if got, left := OwnFrames(c.stack); got != c.want || left != c.left {
			t.Errorf("%s: %d frames are left out of\n%s\nwant %d, and\n%s", name, left, got, c.left, c.want)
		}
	}
	if got, left := OwnFrames(foreign); !strings.HasPrefix(got, "strings.(*Desk).lend(...)\n") || left != 4 {
		t.Errorf("without a frame of the program's own: %d, %s", left, got)
	}
	deep := "goroutine 1 [running]:\n" + strings.Repeat("main.f(0x1)\n\t/x/main.go:1\n", 100)
	if got, left := OwnFrames(deep); strings.Count(got, "main.f(...)") != maxFrames || left != 100-maxFrames {
		t.Errorf("of a recursion: %d left, %s", left, got)
	}
}

// The log of a terminal is brief, and says where all of it is.
func TestBriefTerminal(t *testing.T) {
	var b bytes.Buffer
	h := NewBriefTerminal(&b, slog.LevelInfo, false, "openmas").WithAttrs([]slog.Attr{slog.String("agent", "host")})
	_ = at(h, slog.LevelError, "panic in a call", slog.String("panic", "x"), slog.String("stack", stackOfPanic))
	want := "09:00:01.002 ERROR host panic in a call panic=x\n    stack:\n    " +
		strings.ReplaceAll(strings.ReplaceAll(own, "\n", "\n    "), "\t", "    ") +
		"\n    … 5 frames more: openmas logs host shows them\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
