package main

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
)

// Notes keeps notes in memory. Its tools say what they do to them: the assistant goes by it.
type Notes struct {
	Notes map[string]string `json:"notes"` // what is there at first

	mu sync.Mutex
}

// Note is a note by its name.
type Note struct {
	Name string `json:"name" jsonschema:"the name of the note"`
}

// Text is a note.
type Text struct {
	Note
	Text string `json:"text" jsonschema:"what to write"`
}

// Capabilities implements agent.Agent.
func (n *Notes) Capabilities() agent.Capabilities {
	return agent.Capabilities{Description: "Keeps notes.", Tools: []agent.Tool{
		agent.NewTool("list", "List the names of all notes.", n.list, agent.ReadOnly()),
		agent.NewTool("read", "Read a note.", n.read, agent.ReadOnly()),
		agent.NewTool("write", "Write a new note.", n.write, agent.Destructive(false)),
		agent.NewTool("delete", "Delete a note for ever.", n.remove, agent.Destructive(true)),
	}}
}

func (n *Notes) list(context.Context, struct{}) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.Notes)), nil
}

func (n *Notes) read(_ context.Context, in Note) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, ok := n.Notes[in.Name]
	if !ok {
		return "", agent.NotFound("the note " + in.Name)
	}
	return text, nil
}

func (n *Notes) write(_ context.Context, in Text) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, there := n.Notes[in.Name]; there { // or writing would destroy something
		return "", agent.Errorf(agent.CodeToolFailed, "there is a note %s already", in.Name)
	}
	if n.Notes == nil {
		n.Notes = map[string]string{}
	}
	n.Notes[in.Name] = in.Text
	return in.Name + " is written", nil
}

func (n *Notes) remove(_ context.Context, in Note) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, there := n.Notes[in.Name]; !there {
		return "", agent.NotFound("the note " + in.Name)
	}
	delete(n.Notes, in.Name)
	return in.Name + " is deleted", nil
}

// Calculator calculates, which models do badly.
type Calculator struct{}

// Numbers is what it takes.
type Numbers struct {
	Numbers []float64 `json:"numbers" jsonschema:"the numbers to add"`
}

// Capabilities implements agent.Agent.
func (Calculator) Capabilities() agent.Capabilities {
	add := func(_ context.Context, in Numbers) (float64, error) {
		sum := 0.0
		for _, n := range in.Numbers {
			sum += n
		}
		return sum, nil
	}
	return agent.Capabilities{Description: "Calculates.", Tools: []agent.Tool{
		agent.NewTool("add", "Add numbers.", add, agent.ReadOnly())}}
}
