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
// Errors say which program was looked for, where, and what to do. errors.Is tells their kinds
// apart: [fs.ErrNotExist] for a command or folder that is missing, [fs.ErrPermission] for a file
// that is not executable.
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

// connect makes the pipes, keeps the parent's ends in p and gives the child's ends to cmd and to
// the caller, who closes them.
func (p *Process) connect(cmd *exec.Cmd) (childEnds []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(childEnds)
			closeAll(p.ends)
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	output := func() *os.File {
		r, w := pipe()
		if err != nil {
			return nil
		}
		p.ends, childEnds = append(p.ends, r), append(childEnds, w)
		p.pumps = append(p.pumps, newPump(r, p.output))
		return w
	}

	stderr := output()
	if err != nil {
		return childEnds, err
	}
	cmd.Stderr = stderr
	if !p.stdio {
		stdout := output()
		if err != nil {
			return childEnds, err
		}
		cmd.Stdout = stdout
		return childEnds, nil
	}

	inR, inW := pipe()
	if err != nil {
		return childEnds, err
	}
	cmd.Stdin, p.stdin = inR, inW
	p.ends, childEnds = append(p.ends, inW), append(childEnds, inR)
	outR, outW := pipe()
	if err != nil {
		return childEnds, err
	}
	cmd.Stdout, p.stdout = outW, &protocolReader{file: outR, ended: make(chan struct{})}
	p.ends, childEnds = append(p.ends, outR), append(childEnds, outW)
	return childEnds, nil
}
