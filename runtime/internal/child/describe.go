package child

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/runtime/project"
)

// describe answers the questions of the parent.
func describe(types agent.Types, asked map[string]Question, out io.Writer) error {
	all := Answers{Types: slices.Sorted(maps.Keys(types)), Agents: map[string]Answer{}}
	for name, q := range asked {
		all.Agents[name] = answer(types, name, q)
	}
	return json.NewEncoder(out).Encode(all)
}

func answer(types agent.Types, name string, q Question) (out Answer) {
	construct, ok := types[q.Type]
	if !ok {
		return Answer{Unknown: true}
	}
	a, err := made(construct, name, q.Type)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	if err := project.Fill(a, q.Config); err != nil {
		if !errors.As(err, &out.Config) {
			out.Error = err.Error()
		}
		return out
	}
	i, err := lifecycle.New(a, agent.Env{Name: name})
	if err != nil {
		return Answer{Error: err.Error()}
	}
	out.Info = i.Host.Info()
	for _, req := range i.Requires() {
		out.Requires = append(out.Requires, req.String())
	}
	_, out.Runner = a.(agent.Runner)
	_, out.Healther = a.(agent.Healther)
	return out
}

func made(construct func() agent.Agent, name, kind string) (a agent.Agent, err error) {
	defer lifecycle.Recover(&err, slog.New(slog.DiscardHandler), "the constructor of type "+kind)
	if a = construct(); a == nil {
		return nil, fmt.Errorf("agent %s: the constructor of type %q returned nil", name, kind)
	}
	return a, nil
}

// Ask asks a program to describe agents. What it writes besides is in the error if it fails.
func Ask(ctx context.Context, command, env []string, dir string, asked map[string]Question, wait Patience,
	log *slog.Logger) (all Answers, err error) {
	wait.Quiet, wait.Most = cmp.Or(wait.Quiet, 3*time.Second), cmp.Or(wait.Most, 30*time.Second)
	late := fmt.Errorf("it has not answered within %v: %s", wait.Most, mayHang)
	ctx, cancel := context.WithTimeoutCause(ctx, wait.Most, late)
	defer cancel()
	hello, err := json.Marshal(Hello{Version: Version, Describe: asked})
	if err != nil {
		return all, fmt.Errorf("ask %s about its agents: %w", command[0], err)
	}
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, dir, bytes.NewReader(append(hello, '\n')), &out, &errOut
	cmd.WaitDelay = time.Second
	cancelWith(ctx, cmd, late)
	if err = cmd.Start(); err == nil {
		err = awaited(ctx, cmd, wait, log)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &all)
	}
	var exit *exec.ExitError
	text := strings.TrimSpace(errOut.String())
	switch {
	case err == nil:
		return all, nil
	case errors.As(err, &exit) && text != "": // a panic, or main has ended: the text says why
		return all, fmt.Errorf("the program has ended before it said what its agents offer: %w\n%s", err, text)
	case errors.Is(err, late):
		return all, lateError(command[0], err, text)
	case context.Cause(ctx) != nil:
		return all, fmt.Errorf("ask the program about its agents: %w", err)
	}
	err = fmt.Errorf("the program does not say what its agents offer: %w; does its main call openmas.Main, and is "+
		"the openmas of its module as new as this one?", err)
	if text != "" {
		err = fmt.Errorf("%w\n%s", err, text)
	}
	return all, err
}
