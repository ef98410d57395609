package explain

import "github.com/openmas/openmas/agent"

// A code is what docs/reference/errors.md says of an error code.
type code struct {
	code                agent.Code
	means, again, doNow string
}

var codes = []code{
	{agent.CodeInvalidArgument, "the input does not fit the schema", "never: the answer would be the same",
		"`openmas list --json` shows what the tool takes"},
	{agent.CodeNotFound, "there is no such agent, tool, prompt or resource", "never",
		"`openmas list` shows what there is"},
	{agent.CodePermissionDenied, "the caller is known, and may not do this", "never",
		"ask with another token, or have the callee allow it"},
	{agent.CodeUnauthenticated, "the caller did not prove who it is", "never",
		"give the token: `--token-env`, or `agents.NAME.token`"},
	{agent.CodeUnavailable, "the callee cannot be reached, or takes no calls now",
		"if the call did not run, or is repeatable", "`openmas status` says which instance is not up, and why"},
	{agent.CodeResourceExhausted, "a limit was reached: of size, of calls at once, of depth, of a [budget](#budgets)",
		"only if the callee said when to come back, and the call did not run or is repeatable",
		"the message names the key of the limit: raise it, or call less at once"},
	{agent.CodeDeadlineExceeded, "the call's deadline passed", "never: there is no time left",
		"the message names the key or flag of the time; `openmas trace` shows where it went"},
	{agent.CodeCanceled, "the caller gave up", "never", "nothing, if that was meant"},
	{agent.CodeUnimplemented, "the callee does not know this operation", "never",
		"`openmas list` shows what the callee offers"},
	{agent.CodeInternal, "a defect: a panic, a malformed message", "never",
		"`openmas logs --failed` has the stack of a panic"},
	{agent.CodeToolFailed, "the tool ran and said that it failed", "never: that is its answer",
		"the message is the tool's; `openmas trace` shows the calls below it"},
	{agent.CodeOutcomeUnknown, "the call was sent and no answer came; it may have run",
		"if the call is repeatable, or has a [key](#idempotency-keys)",
		"look whether it has run; `idempotent: true` or a key makes it safe to repeat"},
}
