package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/openmas/openmas/internal/guard"
)

// Start starts the program. It ends early with ctx; once started, the process lives on when ctx
// ends. The caller must see to it that the process ends, usually by Stop, and wait for Done.
//
// Errors name the program, where it was looked for, and what to do. errors.Is finds their kind:
// [fs.ErrNotExist] for a command or folder that is missing, [fs.ErrPermission] for a file that is
// not executable.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	cmd, err := spec.command()
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Command[0], context.Cause(ctx))
	}
	p := newProcess(spec)
	p.guard = guard.From(ctx)
	p.mark = p.guard.Mark()
	cmd.Env = append(cmd.Env, guard.Var+"="+string(p.mark))
	p.guard.Start()
	childEnds, err := p.connect(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Command[0], err)
	}
	started := make(chan error)
	hook := func() func() bool { return func() bool { return true } }
	if abort, _ := ctx.Value(abortKey{}).(context.Context); abort != nil {
		hook = func() func() bool { return context.AfterFunc(abort, p.Kill) }
	}
	go p.run(hook, cmd, childEnds, started)
	if err := <-started; err != nil {
		return nil, explainStart(spec.Command[0], cmd, err)
	}
	if ctx.Err() != nil {
		p.Kill()
		<-p.done
		return nil, fmt.Errorf("start %s: %w", spec.Command[0], context.Cause(ctx))
	}
	return p, nil
}

type abortKey struct{}

// WithAbort makes programs that are started with the context, or one made of it, end with abort:
// they are killed at once with all that they have started. It is for a process that is about to end
// without waiting for them.
func WithAbort(ctx, abort context.Context) context.Context {
	return context.WithValue(ctx, abortKey{}, abort)
}

// connect makes the pipes. The parent's ends are kept in p, the child's are set in cmd and returned
// to the caller, who closes them.
func (p *Process) connect(cmd *exec.Cmd) (childEnds []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(childEnds)
			closeAll(p.ends)
		}
	}()
	pipe := func(toChild bool) (parent, child *os.File) {
		if err != nil {
			return nil, nil
		}
		if parent, child, err = os.Pipe(); err != nil {
			return nil, nil
		}
		if toChild {
			parent, child = child, parent
		}
		p.ends, childEnds = append(p.ends, parent), append(childEnds, child)
		return parent, child
	}
	output := func() *os.File {
		parent, child := pipe(false)
		p.pumps = append(p.pumps, newPump(parent, p.output))
		return child
	}
	cmd.Stderr = output()
	if !p.stdio {
		cmd.Stdout = output()
		return childEnds, err
	}
	p.stdout = &protocolReader{ended: make(chan struct{})}
	p.stdin, cmd.Stdin = pipe(true)
	p.stdout.file, cmd.Stdout = pipe(false)
	return childEnds, err
}
