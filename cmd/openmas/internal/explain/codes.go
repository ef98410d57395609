package explain

import "github.com/openmas/openmas/agent"

// A code is what docs/reference/errors.md says of an error code, and often its cause.
type code struct {
	code                agent.Code
	means, again, doNow string
	often               string
}

var codes = []code{
	{agent.CodeInvalidArgument, "the input does not fit the schema", "never: the answer would be the same",
		"`openmas list --json` shows what the tool takes",
		"an argument that is missing, misspelt or of another type; the message names it"},
	{agent.CodeNotFound, "there is no such agent, tool, prompt or resource", "never",
		"`openmas list` shows what there is",
		"a typo: the message has the nearest name; a tool that allow_tools or gateway.expose leaves out; an " +
			"agent of a process that does not run"},
	{agent.CodePermissionDenied, "the caller is known, and may not do this", "never",
		"ask with another token, or have the callee allow it",
		"a user whom the tool does not serve; a user who declined a question of the tool; a server that " +
			"answered 403"},
	{agent.CodeUnauthenticated, "the caller did not prove who it is", "never",
		"give the token: `--token-env`, or `agents.NAME.token`",
		"no token, or a wrong one, at the gateway (gateway.token, gateway.tokens) or at a server under url " +
			"that answered 401"},
	{agent.CodeUnavailable, "the callee cannot be reached, or takes no calls now",
		"if the call did not run, or is repeatable", "`openmas status` says which instance is not up, and why",
		"a program that is starting, has ended or does not start; a server where nothing listens; a broker " +
			"that is down; a breaker that is open; a system that is stopping; nobody who could answer the " +
			"question of a tool"},
	{agent.CodeResourceExhausted, "a limit was reached: of size, of calls at once, of depth, of a [budget](#budgets)",
		"only if the callee said when to come back, and the call did not run or is repeatable",
		"the message names the key of the limit: raise it, or call less at once",
		"max_in_flight and max_queue of the callee; a budget; limits.memory; a message over mcp.max_body or " +
			"mcp.max_frame; calls more than 16 deep, mostly in a circle"},
	{agent.CodeDeadlineExceeded, "the call's deadline passed", "never: there is no time left",
		"the message names the key or flag of the time; `openmas trace` shows where it went",
		"a tool that takes longer than its timeout (30s unless the project file says otherwise), or than " +
			"--timeout of openmas call"},
	{agent.CodeCanceled, "the caller gave up", "never", "nothing, if that was meant",
		"Ctrl-C; a client that canceled or went away; a call that was no longer needed since another one " +
			"beside it failed"},
	{agent.CodeUnimplemented, "the callee does not know this operation", "never",
		"`openmas list` shows what the callee offers",
		"a server that has no prompts or resources, or does not know a method of a later protocol; what " +
			"answers at a url and is no MCP server"},
	{agent.CodeInternal, "a defect: a panic, a malformed message", "never",
		"`openmas logs --failed` has the stack of a panic",
		"a panic in a tool; a message of a foreign server that is not as MCP has it"},
	{agent.CodeToolFailed, "the tool ran and said that it failed", "never: that is its answer",
		"the message is the tool's; `openmas trace` shows the calls below it",
		"the error that the function of the tool returned; a result with isError of a foreign server"},
	{agent.CodeOutcomeUnknown, "the call was sent and no answer came; it may have run",
		"if the call is repeatable, or has a [key](#idempotency-keys)",
		"look whether it has run; `idempotent: true` or a key makes it safe to repeat",
		"a process or a connection that ended while the call ran"},
}

// terms are what the words above mean, with the word by which they are found.
var terms = []struct{ word, means string }{
	{"did not run", "A call did not run if there is evidence for it: nothing was sent, or the callee refused it " +
		"before it began."},
	{"repeatable", "A call is repeatable if its tool is declared with agent.ReadOnly() or agent.Idempotent(), or the " +
		"project file says idempotent: true; prompts, resources and completions always are."},
	{"a key", "A call has a key with agent.IdempotencyKey: its callee keeps the result, and gives it to each call " +
		"with that key."},
	{"if ", "There are 3 attempts, all within the deadline, and the waits between them are random: openmas explain " +
		"retry has the keys."},
}
