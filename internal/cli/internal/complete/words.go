// Package complete knows what can be typed next on the command line of a call.
package complete

import (
	"encoding/json"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/form"
	"github.com/openmas/openmas/internal/logs"
)

// maxWords bounds what a shell is to show.
const maxWords = 1000

// Words are what can be typed, each with what it is behind a tab where that is known.
type Words struct {
	All []string
	// Open: something follows a word without a blank.
	Open bool
}

// add adds a word that begins with what was typed. A word that a shell would not read as one, or
// that steers a terminal, is left out: a stranger may have made it.
func (w *Words) add(typed, word, about string) {
	if !strings.HasPrefix(word, typed) || len(w.All) == maxWords || logs.Visible(word) != word ||
		strings.ContainsAny(word, " \t`$\\\"'") {
		return
	}
	about, _, _ = strings.Cut(strings.TrimSpace(about), "\n")
	if about = logs.Visible(strings.TrimSpace(about)); about != "" {
		word += "\t" + about
	}
	w.All = append(w.All, word)
}

// Names are what can be called: the tools of agents, or their prompts, or resources. An agent of
// which nothing is known is there by its name.
func Names(agents []agent.Info, op agent.Op, typed string) Words {
	var w Words
	for _, info := range agents {
		prefix := ""
		if info.Name != "" {
			prefix = info.Name + "."
		}
		for _, t := range info.Tools {
			if op == agent.OpTool {
				w.add(typed, prefix+t.Name, t.Description)
			}
		}
		for _, p := range info.Prompts {
			if op == agent.OpPrompt {
				w.add(typed, prefix+p.Name, p.Description)
			}
		}
		for _, r := range info.Resources {
			if op == agent.OpResource {
				begin, _, _ := strings.Cut(r.Key(), "{")
				w.Open = w.Open || r.Template != ""
				w.add(typed, begin, r.Description)
			}
		}
		if prefix != "" && op != agent.OpResource && len(info.Tools)+len(info.Prompts)+len(info.Resources) == 0 {
			w.Open = true
			w.add(typed, prefix, info.Description)
		}
	}
	return w
}

// Arguments are the arguments that can follow those that are given, or, behind the equals sign of
// one, its values.
func Arguments(schema json.RawMessage, given []string, typed string) Words {
	var w Words
	name, _, valued := strings.Cut(typed, "=")
	for _, f := range form.Members(schema) {
		if valued {
			if f.Name() == name {
				for _, value := range f.Values() {
					w.add(typed, name+"="+value, "")
				}
			}
			continue
		}
		if !has(given, f.Name()) {
			w.Open = true
			w.add(typed, f.Name()+"=", f.Hint())
		}
	}
	return w
}

func has(given []string, name string) bool {
	for _, arg := range given {
		if strings.HasPrefix(arg, name+"=") {
			return true
		}
	}
	return false
}
