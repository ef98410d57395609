// Package child starts one program as a child process, reads what it prints, and stops it together
// with everything it started.
//
// A child leads a process group of its own (on Windows a job object), so that wrappers such as npx,
// uv or a shell do not leave the real server behind, and so that a Ctrl-C in the terminal reaches
// openmas only, which then stops its children in order. On Linux what has left the group is found
// by a variable in its environment, [guard.Var]. Where the platform can do it ([DiesWithParent]) a
// child does not outlive a parent that was killed; on Linux that holds for the child itself, and
// for what it has started if the context of [Start] has a guard.
//
// No shell is involved. A child sees a short list of the parent's environment variables and its
// own, nothing else.
package child

import (
	"cmp"
	"time"
)

// Spec is what to start and how to treat it. It is read by [Start] only; a zero value in any
// field but Command is fine.
type Spec struct {
	// Command is the argument vector. Command[0] is a path if it contains a slash, relative to Dir;
	// else it is looked up in the child's PATH. Errors name Command[0] only, since arguments may
	// hold secrets.
	Command []string

	// Dir is the child's working directory; empty means the parent's.
	Dir string

	// Env is added to what is inherited: PATH, HOME, LANG, TZ and VIRTUAL_ENV, and on Windows what
	// processes need to run at all. [guard.Var] comes last.
	Env map[string]string

	// Stdio asks for pipes to the child's stdin and stdout, for a protocol: [Process.Stdin] and
	// [Process.Stdout]. Without it the child reads an empty stdin, and its stdout counts as output
	// like its stderr.
	Stdio bool

	// Log is called with each line of the child's output (stderr, and stdout without Stdio),
	// without its line end and cut at 64 KiB. Calls never overlap. The line is valid during the
	// call only. Log must return: while it does not, the child blocks on a full pipe, and Done
	// waits. May be nil.
	Log func(line []byte)

	// Ready recognises the line of output with which the child reports that it is ready, see
	// [Process.Ready]; [SSEURL] and [StdioReady] are two. It is called until it returns ok.
	// complete is false for a line whose end has not been read yet: then ok means that nothing that
	// may follow can change the value. Calls never overlap. Nil: ready as soon as started.
	Ready func(line string, complete bool) (value string, ok bool)

	// OnRest is called when the program has ended, and what it has started has not for a while:
	// Done waits for that. It must be quick. May be nil.
	OnRest func(Rest)

	// Grace is how long each stage of [Process.Stop] waits.
	Grace Grace
}

// Rest is what a program has left behind: processes that it has started, and that still run or
// hold its output.
type Rest struct {
	// Names are those that are found, as "sleep (pid 12)": on Linux those that have the program's
	// environment.
	Names []string
	// Most is how long they have in all, from the end of the program to SIGKILL.
	Most time.Duration
}

// Grace is how long the stages of [Process.Stop] wait. Zero means the default, negative not at all.
type Grace struct {
	Stdin time.Duration // from closing stdin to SIGTERM, with Stdio only; 2 s by default
	Term  time.Duration // from SIGTERM to SIGKILL; 3 s by default
}

// WithDefaults returns g with a default in each place that is empty.
func (g Grace) WithDefaults() Grace {
	return Grace{Stdin: cmp.Or(g.Stdin, 2*time.Second), Term: cmp.Or(g.Term, 3*time.Second)}
}
