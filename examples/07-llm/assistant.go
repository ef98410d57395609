package main

import (
	"context"
	"strings"

	"github.com/openmas/openmas/agent"
)

// Assistant answers questions. A model says which tools of the other agents to call.
type Assistant struct {
	Model        Model    `json:"model"`
	Instructions string   `json:"instructions"`
	Agents       []string `json:"agents"` // whose tools the model may call; empty: all
	Budget       Budget   `json:"budget"`

	script *server // stands for the model where no base_url is given
}

// Budget is what one question may cost at most.
type Budget struct {
	ModelCalls int `json:"model_calls"`
	ToolCalls  int `json:"tool_calls"`
	Tokens     int `json:"tokens"`
}

// Question is what the assistant is asked.
type Question struct {
	Question string `json:"question" jsonschema:"what to find out or to do"`
}

// NewAssistant is an assistant with the defaults of the project file.
func NewAssistant() *Assistant {
	return &Assistant{Budget: Budget{ModelCalls: 10, ToolCalls: 20, Tokens: 20_000},
		Instructions: "Answer with the help of your tools. Do what is asked and nothing else."}
}

// Capabilities implements agent.Agent.
func (a *Assistant) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Answers questions with the help of the other agents.",
		Tools:       []agent.Tool{agent.NewTool("ask", "Ask a question, or have something done.", a.ask)},
	}
}

// Start implements agent.Starter.
func (a *Assistant) Start(ctx context.Context, env agent.Env) error {
	if a.Model.BaseURL == "" {
		turns, err := builtIn()
		if err != nil {
			return err
		}
		if a.script, err = serve(ctx, turns); err != nil {
			return err
		}
		a.Model.BaseURL, a.Model.Name, a.Model.Key = a.script.url, "scripted", ""
		env.Logger.Info("a script stands for the model; config.model.base_url names a real one")
	}
	return a.Model.open()
}

// Close implements agent.Closer.
func (a *Assistant) Close(ctx context.Context) error {
	if a.script == nil {
		return nil
	}
	return a.script.close(ctx)
}

// overBudget is the error of a question that costs too much.
func overBudget(key string, most int) error {
	return agent.Errorf(agent.CodeResourceExhausted, "the question needs more than its budget of %d %s; "+
		"config.budget.%s of the agent changes it", most, strings.ReplaceAll(key, "_", " "), key)
}
