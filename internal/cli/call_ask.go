package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/console"
	"github.com/openmas/openmas/internal/cli/internal/form"
	"github.com/openmas/openmas/internal/cli/internal/model"
	"github.com/openmas/openmas/internal/logs"
)

// askFlags say who answers what a call lacks, and what a callee asks while it runs.
type askFlags struct {
	form, noInput, yes bool
	answers            []string
	model, modelURL    string
}

func (f *askFlags) register(c *cobra.Command) {
	c.Flags().BoolVar(&f.form, "form", false, "ask for every argument that is not given, also for those that can be "+
		"left out")
	c.Flags().BoolVar(&f.noInput, "no-input", false, "ask nothing at the terminal")
	c.Flags().StringArrayVar(&f.answers, "answer", nil, "answer a question of the tool: the field and its value, "+
		"`NAME=VALUE` (repeatable)")
	c.Flags().BoolVar(&f.yes, "yes", false, "accept what the tool asks: yes, and defaults")
	c.Flags().StringVar(&f.model, "model", "", "the model `NAME` that answers the tool's sampling requests (default: "+
		model.NameVar+" in the environment)")
	c.Flags().StringVar(&f.modelURL, "model-url", "", "the `URL` of an OpenAI-compatible endpoint (default: "+
		model.URLVar+"; its key: "+model.KeyVar+")")
}

// An asking is one call as far as somebody is asked about it: at its terminal, by flags, or a
// model.
type asking struct {
	out     io.Writer        // standard error
	console *console.Console // nil: standard error is no terminal
	answers form.Answers
	model   *model.Model
	every   bool // the form asks for arguments that can be left out, too
	mu      sync.Mutex
	callee  string
	stepped time.Time               // when a step was shown last, where there is no bar
	last    string                  // the last step, if it was not shown
	leave   context.CancelCauseFunc // cancels the call
}

// asking prepares to ask. Until the function that it returns is called, the console has what is
// written to standard error.
func (a *App) asking(f *askFlags, l *LogFlags, callee string, leave context.CancelCauseFunc) (*asking, func(), error) {
	q := &asking{callee: callee, leave: leave, every: f.form, stepped: time.Now()}
	var err error
	if q.answers, err = form.ReadAnswers(f.answers, f.yes); err != nil {
		return nil, nil, Usage(fmt.Errorf("--answer %w", err))
	}
	if q.model, err = model.New(f.model, f.modelURL, a.getenv); err != nil {
		return nil, nil, Usage(err)
	}
	errOut := a.Err
	if out, ok := errOut.(*os.File); ok && OnTerminal(out) && a.getenv("TERM") != "dumb" && l.format != "json" {
		in, ok := a.In.(*os.File)
		if !ok || f.noInput || !term.IsTerminal(int(in.Fd())) {
			in = nil
		}
		q.console = console.New(in, out, logs.Colors(a.getenv))
		a.Err = q.console
	}
	q.out = a.Err
	done := func() {
		if q.console != nil {
			q.console.Close()
			a.Err = errOut
		}
	}
	if f.form && !q.canAsk() {
		done()
		return nil, nil, Usage(errors.New("--form: standard input and standard error are to be a terminal for that, " +
			"without --no-input"))
	}
	return q, done, nil
}

func (q *asking) canAsk() bool { return q.console != nil && q.console.CanAsk() }

// errLeft is the end of a call that somebody left before it was made.
var errLeft = errors.New("nothing was called")

// input asks for the arguments that are missing.
func (q *asking) input(ctx context.Context, of described, input json.RawMessage) (json.RawMessage, error) {
	if !q.canAsk() || len(of.schema) == 0 {
		return input, nil
	}
	title := q.callee
	if d := firstLine(of.description); d != "" {
		title += ": " + d
	}
	filled, asked, err := form.Input(ctx, q.console, title+"\n(Ctrl-C leaves, and nothing is called)", of.schema, input,
		q.every)
	switch {
	case errors.Is(err, console.ErrInterrupted), errors.Is(err, console.ErrClosed):
		return nil, &exitError{exitAborted, fmt.Errorf("%w: %w", err, errLeft)}
	case err != nil:
		return nil, err
	case asked:
		q.console.Hint("as arguments: " + form.Command(form.Fields(of.schema), filled))
	}
	return filled, nil
}

// backChannel shows what the callee reports, and answers what it asks.
func (q *asking) backChannel() agent.BackChannel {
	return agent.BackChannelFuncs{
		OnProgress: q.progress,
		OnLog: func(n agent.LogNotice) {
			fmt.Fprintf(q.out, "%s %s %s\n", n.Level, logs.Visible(n.Logger), logs.Visible(string(n.Data)))
		},
		Elicit: q.elicit,
		Sample: q.sample,
	}
}

// stepEvery is how often a step is shown where there is no bar: not those of a call that is quick.
const stepEvery = 5 * time.Second

// progress shows a step.
func (q *asking) progress(n agent.ProgressNotice) {
	if q.console != nil {
		q.console.Progress(n)
		return
	}
	of := ""
	if n.Total > 0 {
		of = fmt.Sprintf("/%g", n.Total)
	}
	text := strings.TrimRight(fmt.Sprintf("%g%s %s", n.Progress, of, logs.Visible(n.Message)), " ")
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last = text; time.Since(q.stepped) >= stepEvery {
		fmt.Fprintln(q.out, text)
		q.stepped, q.last = time.Now(), ""
	}
}

// cameTo shows how far a call has come that failed, where there is no bar.
func (q *asking) cameTo() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last != "" {
		fmt.Fprintln(q.out, q.last)
	}
}

// elicit answers a question: by flags, else at the terminal.
func (q *asking) elicit(ctx context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
	if r.URL != "" { // neither a flag nor a form agrees to that
		return q.decline(r, "it wants "+r.URL+" to be visited, which openmas call does not do")
	}
	fields := form.Fields(r.RequestedSchema)
	filled, err := q.answers.Fill(fields)
	switch {
	case err != nil:
		return q.decline(r, "--answer "+err.Error())
	case filled.Answered:
		return agent.ElicitResult{Action: agent.ElicitAccept, Content: filled.Content}, nil
	case !q.canAsk():
		return q.decline(r, "there is no terminal to ask at; "+q.instead(filled.Open))
	}
	content, send, err := q.ask(ctx, r, fields, filled)
	switch {
	case errors.Is(err, console.ErrClosed), err == nil && !send:
		return agent.ElicitResult{Action: agent.ElicitDecline}, nil
	case errors.Is(err, console.ErrInterrupted):
		q.leave(err)
		return agent.ElicitResult{Action: agent.ElicitCancel}, nil
	case err != nil:
		return agent.ElicitResult{}, err
	}
	return agent.ElicitResult{Action: agent.ElicitAccept, Content: content}, nil
}

// ask asks at the terminal. send is whether the answer is to be sent.
func (q *asking) ask(ctx context.Context, r agent.ElicitRequest, fields []form.Field, filled form.Filled) (
	content json.RawMessage, send bool, err error) {
	q.console.Title(q.callee + " asks: " + r.Message)
	if len(fields) == 0 {
		send, err = form.Confirm(ctx, q.console, "accept?", false)
		return filled.Content, send, err
	}
	q.console.Hint("Ctrl-D declines, Ctrl-C cancels the call")
	content, err = form.Fill(ctx, q.console, filled.Open, filled.Content)
	if err == nil && len(fields) > 1 {
		send, err = form.Confirm(ctx, q.console, "send this?", true)
		return content, send, err
	}
	return content, true, err
}

// decline declines a question, and says why to whoever reads standard error: MCP has no room for a
// reason.
func (q *asking) decline(r agent.ElicitRequest, why string) (agent.ElicitResult, error) {
	fmt.Fprintf(q.out, "openmas: %s asks: %s\nopenmas: declined: %s\n", logs.Visible(q.callee), logs.Visible(r.Message),
		logs.Visible(why))
	return agent.ElicitResult{Action: agent.ElicitDecline}, nil
}

// instead names the flags that answer a question.
func (q *asking) instead(open []form.Field) string {
	var flags []string
	all := true
	for _, f := range open {
		if f.Required {
			flags = append(flags, "--answer "+f.Name()+"=…")
			all = all && f.Accepts()
		}
	}
	switch {
	case len(flags) == 0:
		return "--yes accepts"
	case all:
		return strings.Join(flags, " ") + " answers, and --yes accepts"
	}
	return strings.Join(flags, " ") + " answers"
}

// sample has the model answer, if there is one.
func (q *asking) sample(ctx context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
	if q.model == nil {
		err := agent.Errorf(agent.CodeUnavailable, "openmas call has no model; --model and --model-url, or %s and %s "+
			"in the environment, give it one", model.NameVar, model.URLVar)
		fmt.Fprintf(q.out, "openmas: %s asks for a model's answer; declined: %s\n", logs.Visible(q.callee), err.Message)
		return agent.SampleResult{}, err
	}
	fmt.Fprintf(q.out, "openmas: %s asks the model %s (%s, at most %d tokens)\n", logs.Visible(q.callee),
		logs.Visible(q.model.Name), plural(len(r.Messages), "message"), q.model.Tokens(r))
	return q.model.Sample(ctx, r)
}
