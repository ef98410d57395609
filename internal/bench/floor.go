package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"sync"
)

// floorMessage is what the floors echo.
type floorMessage struct {
	ID   int    `json:"id"`
	Tool string `json:"tool"`
	Msg  string `json:"msg"`
}

// pipe is the floor of stdio: lines of JSON to a child and back, matched by a number.
type pipe struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	last int
	wait map[int]chan string
	over chan struct{}
}

func dialPipe(context.Context) (caller, error) {
	cmd, err := self("-serve", "floor")
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &pipe{cmd: cmd, in: in, wait: map[int]chan string{}, over: make(chan struct{})}
	go p.read(out)
	return p, nil
}

func (p *pipe) read(out io.Reader) {
	defer close(p.over)
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadBytes('\n')
		var m floorMessage
		if err != nil || json.Unmarshal(line, &m) != nil {
			return
		}
		p.mu.Lock()
		ch := p.wait[m.ID]
		delete(p.wait, m.ID)
		p.mu.Unlock()
		ch <- m.Msg
	}
}

func (p *pipe) call(_ context.Context, tool, msg string) (string, error) {
	ch := make(chan string, 1)
	p.mu.Lock()
	p.last++
	p.wait[p.last] = ch
	b, err := json.Marshal(floorMessage{p.last, tool, msg})
	if err == nil {
		_, err = p.in.Write(append(b, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return "", err
	}
	select {
	case text := <-ch:
		return text, nil
	case <-p.over:
		return "", errors.New("the child has ended")
	}
}

func (p *pipe) close() {
	_ = p.in.Close() // the child ends with its input
	<-p.over
	_ = p.cmd.Wait()
}
