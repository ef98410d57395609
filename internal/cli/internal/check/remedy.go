package check

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// processNumber differs each time, and helps nobody once the process has ended. A check has no log.
var processNumber = regexp.MustCompile(` \(pid \d+\)| \(see the log\)`)

// why is the error of an agent that could not be asked, for people.
func why(p runtime.Probed) string {
	cause := p.Err
	if e := (*client.ConnectError)(nil); errors.As(p.Err, &e) {
		cause = e.Err
	}
	return fmt.Sprintf("agent %s: %s", p.Agent, processNumber.ReplaceAllString(cause.Error(), ""))
}

// place is the key that says where the server of an agent is, or how it starts.
func (c *checker) place(name string) []string {
	kind, a := "url", c.cfg.Agents[name]
	if a.Kind() == project.KindCommand {
		kind = "command"
		if _, err := os.Stat(c.cfg.ChildDir(name)); a.Dir != "" && err != nil {
			kind = "dir"
		}
	}
	return []string{"agents", name, kind}
}

// remedy says what to do about an agent that could not be asked; empty: its error does.
func (c *checker) remedy(p runtime.Probed) string {
	var e *client.ConnectError
	if !errors.As(p.Err, &e) {
		return ""
	}
	a := c.cfg.Agents[p.Agent]
	if a.Kind() == project.KindCommand {
		return c.remedyOfCommand(p.Agent, a, e)
	}
	return remedyOfURL(p.Agent, a, e)
}

const otherProgram = "is it the program that is meant, with the arguments that it needs? Its own documentation says " +
	"which"

// remedyOfCommand is what to do about a program.
func (c *checker) remedyOfCommand(name string, a project.Agent, e *client.ConnectError) string {
	switch e.Reason {
	case client.ReasonNoProgram:
		switch rest, home := strings.CutPrefix(a.Command[0], "~/"); {
		case home:
			return "there is no shell that knows ~: write ${env:HOME}/" + rest
		case len(a.Command) == 1 && strings.Contains(a.Command[0], " "):
			return "there is no shell that splits it: write " + list(strings.Fields(a.Command[0]))
		}
	case client.ReasonExited:
		return fmt.Sprintf("run it by hand in %s; of this environment it has PATH, HOME, LANG, TZ and VIRTUAL_ENV "+
			"only, and what agents.%s.env names", c.cfg.ChildDir(name), name)
	case client.ReasonTimeout:
		switch slow := fmt.Sprintf("if it starts slowly, raise agents.%s.start.timeout", name); {
		case e.Greeted:
			return hangs(fmt.Sprintf("agents.%s.start.timeout", name))
		case a.Communicator != project.OverStdio:
			return slow
		case e.Unread > 0:
			return "what it writes to standard output is no MCP: " + otherProgram
		default:
			return slow + "; if it serves HTTP, and not MCP on stdin and stdout, write communicator: mcp-http"
		}
	case client.ReasonNotMCP, client.ReasonVersion:
		return otherProgram
	}
	return ""
}

// hangs is what to do about a server that answers some requests and not the next one.
func hangs(key string) string {
	return "the server speaks MCP, and waits for something: what it writes should say for what; if it takes that " +
		"long, raise " + key
}

// remedyOfURL is what to do about a server elsewhere.
func remedyOfURL(name string, a project.Agent, e *client.ConnectError) string {
	var dns *net.DNSError
	switch {
	case errors.As(e.Err, &dns):
		return "is the host in the url written as it should be, and does this machine reach its network?"
	case strings.Contains(e.Err.Error(), "HTTP response to HTTPS client"): // net/http has no error for it
		return "what listens there does not speak TLS: write http:// in place of https://"
	case e.Reason == client.ReasonTimeout && e.Greeted:
		return hangs("connect.timeout")
	case e.Reason == client.ReasonTimeout:
		return fmt.Sprintf("if it answers slowly, raise connect.timeout; else see whether %s is the right url", a.URL)
	case e.Reason == client.ReasonRedirects:
		return "set the url to the address that answers, if there is one: often a / more or less at its end decides"
	case e.Reason == client.ReasonNotMCP:
		return "the path of an MCP server mostly is /mcp, or /sse with communicator: mcp-sse; its own documentation " +
			"says which"
	case e.Reason != client.ReasonStatus:
		return ""
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		if a.Token != "" || a.OAuth.ClientID != "" || len(a.Headers) > 0 {
			return "what the project sends is not enough: is the token the right one, and still valid?"
		}
		return fmt.Sprintf(`write agents.%s.token: "${env:NAME}", or headers or oauth`, name)
	case e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed, e.Status == http.StatusBadRequest:
		other := project.OverSSE
		if a.Communicator == project.OverSSE {
			other = project.OverHTTP
		}
		return fmt.Sprintf("correct the path of the url, or write communicator: %s", other)
	case e.Status >= http.StatusInternalServerError:
		return "the server's own log should say why"
	}
	return ""
}

// list is a command as the project file has it.
func list(words []string) string { return "[" + strings.Join(words, ", ") + "]" }
