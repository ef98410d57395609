package main

import (
	"strings"

	"github.com/openmas/openmas/agent"
)

// Budget is what one question may cost at most.
type Budget struct {
	ModelCalls int `json:"model_calls"`
	ToolCalls  int `json:"tool_calls"`
	Tokens     int `json:"tokens"`
}

// overBudget is the error of a question that costs too much.
func overBudget(key string, most int) error {
	return agent.Errorf(agent.CodeResourceExhausted, "the question needs more than its budget of %d %s; "+
		"config.budget.%s of the agent changes it", most, strings.ReplaceAll(key, "_", " "), key)
}
