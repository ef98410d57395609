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
	"github.com/openmas/openmas/internal/cli/internal/called"
	"github.com/openmas/openmas/internal/cli/internal/console"
	"github.com/openmas/openmas/internal/cli/internal/form"
	"github.com/openmas/openmas/internal/cli/internal/model"
	"github.com/openmas/openmas/internal/cli/internal/visit"
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
	called  called.Name      // of the program
	console *console.Console // nil: standard error is no terminal
	answers form.Answers
	model   *model.Model
	every   bool // the form asks for arguments that can be left out, too
	mu      sync.Mutex
	callee  string
	stepped time.Time               // when a step was shown last, where there is no bar
	last    string                  // the last step, if it was not shown
	leave   context.CancelCauseFunc // cancels the call
	pages   map[string]string       // hosts of pages that somebody visits, by the ids of the questions
}

// asking prepares to ask. Until the function that it returns is called, the console has what is
// written to standard error.
func (a *App) asking(f *askFlags, l *LogFlags, callee string, leave context.CancelCauseFunc) (*asking, func(), error) {
	q := &asking{called: a.called, callee: callee, leave: leave, every: f.form, stepped: time.Now()}
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

// say tells people something, as [App.say] does.
func (q *asking) say(format string, args ...any) {
	fmt.Fprintf(q.out, "%s: %s\n", q.called, fmt.Sprintf(format, args...))
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
		Elicit:           q.elicit,
		ElicitURL:        q.visit,
		OnElicitComplete: q.visited,
		Sample:           q.sample,
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
	if q.last = text; n.Total > 0 && n.Progress >= n.Total {
		q.last = "" // that is as far as one comes
	} else if time.Since(q.stepped) >= stepEvery {
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
	fields := form.Fields(r.RequestedSchema)
	filled, err := q.answers.Fill(fields)
	switch {
	case err != nil:
		return q.decline(r.Message, "--answer "+err.Error())
	case filled.Answered:
		return agent.ElicitResult{Action: agent.ElicitAccept, Content: filled.Content}, nil
	case !q.canAsk():
		return q.decline(r.Message, "there is no terminal to ask at; "+q.instead(filled.Open))
	}
	content, send, err := q.ask(ctx, r, fields, filled)
	return q.answered(content, send, err)
}

// answered is the answer of whoever was asked at the terminal.
func (q *asking) answered(content json.RawMessage, yes bool, err error) (agent.ElicitResult, error) {
	switch {
	case errors.Is(err, console.ErrClosed), err == nil && !yes:
		return agent.ElicitResult{Action: agent.ElicitDecline}, nil
	case errors.Is(err, console.ErrInterrupted):
		q.leave(err)
		return agent.ElicitResult{Action: agent.ElicitCancel}, nil
	case err != nil:
		return agent.ElicitResult{}, err
	}
	return agent.ElicitResult{Action: agent.ElicitAccept, Content: content}, nil
}

// visit asks at the terminal whether a page is visited, and opens nothing. No flag agrees to that.
func (q *asking) visit(ctx context.Context, r agent.ElicitURLRequest) (agent.ElicitResult, error) {
	page, err := visit.Read(r.URL)
	switch {
	case err != nil:
		return q.decline(r.Message, "it wants "+r.URL+" to be visited: "+err.Error())
	case !q.canAsk():
		return q.decline(r.Message, "it wants "+page.URL()+" to be visited, and there is no terminal to ask at; no "+
			"flag agrees to that")
	}
	q.console.Title(q.callee + " asks you to visit a page of " + page.Host)
	q.show(r.Message, page)
	q.console.Hint(q.called.String() + " opens nothing; Ctrl-D declines, Ctrl-C cancels the call")
	yes, err := form.Confirm(ctx, q.console, "will you visit "+page.Host+"?", false)
	if err == nil && yes {
		q.agreed(r.ID, page.Host)
		fmt.Fprintf(q.out, "  open it in your browser: %s\n", page.URL())
	}
	return q.answered(nil, yes, err)
}

// show shows what a page is to be visited for, and its whole address.
func (q *asking) show(message string, page visit.Page) {
	var b strings.Builder
	for _, line := range visit.Quote(message) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	host := page.Host
	if q.console != nil {
		host = q.console.Bold(host)
	}
	fmt.Fprintf(&b, "  %s%s%s\n", page.Before, host, page.After)
	for _, doubt := range page.Doubts {
		fmt.Fprintf(&b, "  careful: %s\n", doubt)
	}
	fmt.Fprint(q.out, b.String())
}

// agreed notes that somebody visits a page.
func (q *asking) agreed(id, host string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pages == nil {
		q.pages = map[string]string{}
	}
	q.pages[id] = host
}

// visited shows that the callee has what it sent somebody to a page for.
func (q *asking) visited(id string) {
	q.mu.Lock()
	host, ok := q.pages[id]
	delete(q.pages, id)
	q.mu.Unlock()
	if ok {
		q.say("%s: the visit to %s is complete", logs.Visible(q.callee), host)
	}
}

// required shows the pages that a call which failed wants to be visited first.
func (q *asking) required(err error) {
	pages := visit.Required(err)
	for _, r := range pages {
		page, err := visit.Read(r.URL)
		if err != nil {
			q.say("%s wants %s to be visited first, which is not to be done: %v",
				logs.Visible(q.callee), logs.Visible(r.URL), err)
			continue
		}
		q.say("%s wants a page of %s to be visited first", logs.Visible(q.callee), page.Host)
		q.show(r.Message, page)
	}
	if len(pages) > 0 {
		q.say("nothing was opened; when you have been there, make the call again")
	}
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
func (q *asking) decline(message, why string) (agent.ElicitResult, error) {
	q.say("%s asks: %s", logs.Visible(q.callee), logs.Visible(message))
	q.say("declined: %s", logs.Visible(why))
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
		err := agent.Errorf(agent.CodeUnavailable, "%s call has no model; --model and --model-url, or %s and %s "+
			"in the environment, give it one", q.called, model.NameVar, model.URLVar)
		q.say("%s asks for a model's answer; declined: %s", logs.Visible(q.callee), err.Message)
		return agent.SampleResult{}, err
	}
	q.say("%s asks the model %s (%s, at most %d tokens)", logs.Visible(q.callee),
		logs.Visible(q.model.Name), plural(len(r.Messages), "message"), q.model.Tokens(r))
	return q.model.Sample(ctx, r)
}
