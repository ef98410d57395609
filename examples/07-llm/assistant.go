package main

import (
	"context"

	"github.com/openmas/openmas/agent"
)

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
