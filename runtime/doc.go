// Package runtime keeps the agents of a project alive: it starts them in order, leads calls from
// one to another, restarts and reconnects what fails, and stops without losing what is in flight.
//
// Most programs never see it: openmas.Main reads the project file and runs it. A program that has a
// main of its own makes a [Runtime] from a [project.Config] and its agent types:
//
//	r, err := runtime.New(cfg, agent.Types{"weather": func() agent.Agent { return &Weather{} }},
//		runtime.Options{Logger: log})
//	...
//	err = r.Run(ctx) // until ctx ends; then everything is stopped
//
// [New] checks everything and starts nothing: no goroutine, no socket, no process. [Runtime.Run]
// returns when everything has stopped.
//
// # For the program around it
//
//   - [Runtime.Ready] is closed when every agent is up; [Options].OnReady is called then.
//   - [Runtime.Call] calls a tool, and [Runtime.Context] is for everything else that package agent
//     offers: typed calls, prompts, resources, events.
//   - [Runtime.Handler] serves the gateway's endpoints in an HTTP server of the program's own.
//   - [Runtime.Status] and [Runtime.Listing] describe the system as it is now.
//   - [Runtime.DeadLetters] and [Runtime.ReplayEvents] are for durable events that no attempt could
//     handle.
//   - A [Mode] is what this process does for its project, and [NewDriver] brings a broker that is
//     not built in.
//
// # The life of a system
//
// Start: the gateway's port is taken, so that a port in use starts nothing; then telemetry, broker
// and the private listener for child processes; then the agents, each after those that it requires,
// in order of their names otherwise; then the gateway opens, and Runners run. What started is
// undone in reverse when a start fails halfway.
//
// While it runs, a call passes a span, its deadline and depth, and retries where those are safe, on
// its way to an instance of the agent. A child process or a Runner that ends is restarted, and a
// session to another server is made again.
//
// Stop: new work is refused while calls in flight go on; Runners are cancelled; agents close in
// reverse order of their start; sessions, children and broker follow.
package runtime
