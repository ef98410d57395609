package delivery

import "github.com/openmas/openmas/agent"

// Call is an event as the call that brings it to an agent.
func Call(name string, p agent.Event, attempt int) *agent.Call {
	c := &agent.Call{ID: p.ID, Op: agent.OpEvent, Agent: name, Name: p.Topic, Input: p.Payload, Root: p.ID,
		From: agent.Identity{Agent: p.Source, Trusted: true}, Key: p.Key, Attempt: attempt, Meta: p.Meta}
	if p.Source != "" {
		c.Path = []string{p.Source}
	}
	return c
}

// Event is the way back.
func Event(c *agent.Call) agent.Event {
	return agent.Event{ID: c.ID, Topic: c.Name, Source: c.From.Agent, Key: c.Key, Payload: c.Input, Meta: c.Meta}
}
