package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
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
	childEnds, err := p.connect(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Command[0], err)
	}
	started := make(chan error)
	go p.run(cmd, childEnds, started)
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
