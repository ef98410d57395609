package client

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
)

// A machine that has nothing left is no fault of the program, nor of the server.
func TestExhausted(t *testing.T) {
	target := &Target{Name: "docs", Transport: mcp.Stdio, Command: []string{"docs"}}
	for err, exhausted := range map[error]bool{
		&startError{fmt.Errorf("start docs: %w", os.NewSyscallError("pipe2", syscall.EMFILE))}: true,
		&startError{fmt.Errorf("start docs: %w", syscall.EAGAIN)}:                              true,
		fmt.Errorf("dial: %w", syscall.ENFILE):                                                 true,
		&startError{fmt.Errorf("start docs: %w", syscall.ENOEXEC)}:                             false,
		fmt.Errorf("dial: %w", syscall.ECONNREFUSED):                                           false,
	} {
		ctx, said := withNote(t.Context())
		got := explain(ctx, target, Options{}, nil, said, "initialize", err)
		if is := agent.CodeOf(got) == agent.CodeResourceExhausted; is != exhausted {
			t.Errorf("%v: %v", err, got)
		}
		if exhausted && mayBeOlder(got) {
			t.Errorf("%v: asked again in another protocol", err)
		}
	}
}
