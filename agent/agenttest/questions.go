package agenttest

import (
	"context"
	"encoding/json"

	"github.com/openmas/openmas/agent"
)

// OnElicit answers what agents ask the user of whoever called: with the values of a form, as a
// struct or a map; with an error, or an agent.ElicitResult, such as one that declines; or with what
// stands for an answer in a [Script], as [Each] and [Func] of an agent.ElicitRequest.
func OnElicit(answer any) Option {
	return func(s *System) {
		s.back.Elicit = func(ctx context.Context, r agent.ElicitRequest) (out agent.ElicitResult, err error) {
			v, err := question(ctx, agent.AskElicit, r, answer)
			if err != nil {
				return out, err
			}
			if res, ok := v.(agent.ElicitResult); ok {
				return res, nil
			}
			content, err := json.Marshal(v)
			return agent.ElicitResult{Action: agent.ElicitAccept, Content: content}, err
		}
	}
}

// OnElicitURL answers where agents send the user of whoever called, with [agent.ElicitURL]: with
// what the user does, such as agent.ElicitAccept; an error; or what stands for an answer in a
// [Script], as [Each] and [Func] of an agent.ElicitURLRequest.
func OnElicitURL(answer any) Option {
	return func(s *System) {
		s.back.ElicitURL = func(ctx context.Context, r agent.ElicitURLRequest) (out agent.ElicitResult, err error) {
			v, err := question(ctx, agent.AskElicit, r, answer)
			if err != nil {
				return out, err
			}
			action, ok := v.(string)
			if !ok {
				return out, agent.Errorf(agent.CodeInternal, "agenttest.OnElicitURL answers with a %T: want a string "+
					"or an error", v)
			}
			return agent.ElicitResult{Action: action}, nil
		}
	}
}

// OnSample answers what agents ask the model of whoever called: with a string, which is the text of
// the model; an error; an agent.SampleResult; or what stands for an answer in a [Script], as [Each]
// and [Func] of an agent.SampleRequest.
func OnSample(answer any) Option {
	return func(s *System) {
		s.back.Sample = func(ctx context.Context, r agent.SampleRequest) (out agent.SampleResult, err error) {
			v, err := question(ctx, agent.AskSample, r, answer)
			if err != nil {
				return out, err
			}
			switch v := v.(type) {
			case agent.SampleResult:
				return v, nil
			case string:
				return agent.SampleResult{Role: agent.RoleAssistant, Model: Caller, StopReason: "endTurn",
					Content: agent.Blocks{agent.Text(v)}}, nil
			}
			return out, agent.Errorf(agent.CodeInternal, "agenttest.OnSample answers with a %T: want a string, an "+
				"error or an agent.SampleResult", v)
		}
	}
}

// question has an answer of a script answer a request.
func question(ctx context.Context, kind string, request, answer any) (any, error) {
	params, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	return reply(ctx, answer, &agent.Call{Op: agent.OpTool, Agent: Caller, Name: kind, Input: params})
}
