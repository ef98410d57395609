package runtime

import "context"

// Operate is what the operations socket has for the operator: verb is restart, stop or start, and
// instance -1 for all of the agent.
func (r *Runtime) Operate(ctx context.Context, verb, agentName string, instance int) (Operated, error) {
	o := order{Agent: agentName}
	if instance >= 0 {
		o.Instance = &instance
	}
	return r.operate(ctx, map[string]operation{"restart": restarting, "stop": stopping, "start": starting}[verb], o)
}
