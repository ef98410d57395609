package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// failing is a back-channel whose user's answers are of no use.
type failing struct{ agent.BackChannelFuncs }

func (failing) Request(context.Context, agent.Request) (json.RawMessage, error) {
	return nil, agent.Errorf(agent.CodeUnavailable, "the answer does not fit")
}

// A foreign server learns what is wrong with its question, or with the answer to it.
func TestWhyAQuestionHasNoAnswer(t *testing.T) {
	for _, c := range []struct {
		question string
		owner    agent.BackChannel
		want     []string
	}{
		{`"method":"elicitation/create"`, nil, []string{"-32602", "elicitation/create has no params"}},
		{`"method":"elicitation/create","params":null`, nil, []string{"-32602", "elicitation/create has no params"}},
		{`"method":"elicitation/create","params":[1]`, nil, []string{"-32602"}},
		{`"method":"sampling/createMessage"`, nil, []string{"params"}},
		{`"method":"sampling/createMessage","params":null`, nil, []string{"params"}},
		{`"method":"roots/list","params":null`, nil, []string{"the answer does not fit"}},
		{`"method":"roots/list","params":[]`, nil, []string{"-32602"}},
		{`"method":"elicitation/create","params":{"message":"m"}`, agent.BackChannelFuncs{},
			[]string{"the answer does not fit"}},
	} {
		for _, fast := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %v", c.question, fast), func(t *testing.T) {
				near, far := pipes(t)
				told, log := make(chan string, 1), &testkit.Buffer{}
				go newRaw(nil).asking(far, `{"jsonrpc":"2.0","id":"q",`+c.question+`}`, told)
				s := overPipes(t, near, Target{Name: "raw"}, Options{NoFastPath: !fast, Back: c.owner,
					Logger: slog.New(slog.NewTextHandler(log, nil))})
				mustCall(t, s, "good", nil, failing{})
				got := await(t, told, "the answer")
				for _, want := range c.want {
					if !strings.Contains(got, want) {
						t.Errorf("%s\nwant %s", got, want)
					}
				}
				if strings.Contains(log.String(), "panic") {
					t.Error(log)
				}
			})
		}
	}
}

// asking answers on the server's end of pipes, and in each call asks first.
func (r *raw) asking(far pipe, question string, told chan<- string) {
	call := ""
	for sc := bufio.NewScanner(far.Reader); sc.Scan(); {
		var env wire.Envelope
		say := ""
		switch env.Scan(sc.Bytes()); {
		case string(env.Method) == codec.MethodCall:
			call, say = string(env.ID), question
		case string(env.ID) == `"q"`:
			told <- sc.Text()
			say = `{"jsonrpc":"2.0","id":` + call + `,"result":{"content":[]}}`
		default:
			say = r.answer(sc.Bytes())
		}
		if say != "" {
			_, _ = io.WriteString(far.Writer, say+"\n") // fails when the test is over
		}
	}
}
