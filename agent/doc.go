// Package agent is for those who write agents. An agent is a Go value that says what it can do:
//
//	type Weather struct {
//		Unit string `json:"unit"` // from the project file
//	}
//
//	func (w *Weather) Capabilities() agent.Capabilities {
//		return agent.Capabilities{
//			Requires: []agent.Requirement{agent.Require("geo.locate")},
//			Tools:    []agent.Tool{agent.NewTool("forecast", "The weather in a city.", w.forecast)},
//		}
//	}
//
//	func (w *Weather) forecast(ctx context.Context, c City) (Forecast, error) {
//		pos, err := agent.Ask[Position](ctx, "geo.locate", c) // a tool of another agent
//		...
//	}
//
// The project file decides where an agent runs and how calls reach it: by a function call, over a
// broker, or over MCP. The agent's code is the same in each case. Package openmas runs a project,
// and package agenttest tests agents without one.
//
// # What an agent offers
//
//   - A [Tool] is a function that others call. [NewTool] makes one from a Go function: the JSON
//     schemas follow from its types, and its input is validated before it runs.
//   - A [Prompt] and a [Resource] are those of MCP: [NewPrompt], [NewResource], [NewResourceFunc].
//   - A [Subscription] is a topic whose events the agent handles: [On].
//
// An agent may also be a [Starter], a [Closer], a [Runner] (it does work of its own) and a
// [Healther]. Tools and handlers run concurrently.
//
// # What an agent asks of others
//
// The context of a tool, a handler or a Runner leads to the other agents:
//
//   - [Ask] calls a tool and decodes its result, and [CallTool] returns the result as it is.
//     [GetPrompt], [ReadResource] and [Complete] are for the rest.
//   - [Publish] sends an event to all agents that listen to its topic.
//   - [Progress] and [Log] tell the caller something while the call runs. [Elicit], [Sample] and
//     [Roots] ask the caller for input, for its model and for its folders.
//
// Deadline, cancellation and trace travel with the context. [CallFrom] says who has called.
//
// # Errors
//
// Every error of a call is or wraps an [*Error]. Its [Code] is the same over every communicator,
// and errors.Is compares it: errors.Is(err, agent.CodeNotFound). A tool that returns any other
// error gives its caller [CodeToolFailed] and the text. [CodeOutcomeUnknown] means that the call
// may have run; [IdempotencyKey] makes a call safe to repeat.
//
// # For other runtimes and communicators
//
// Everything on the path of a call is a [Caller]: a tool, a [Middleware], a [Directory], a session
// to another process. A [Call] and a [Result] are what travels. [NewHost] makes an agent callable,
// and [WithEnv] lends it what it needs.
//
// The package depends on the standard library and a JSON schema library only.
package agent
