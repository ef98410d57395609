package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/openmas/openmas/agent"
)

// Text is what goes in.
type Text struct {
	Text string `json:"text" jsonschema:"the text to look at"`
}

// Draft is what the stages share: each reads what the earlier ones wrote. The writer gets it whole.
type Draft struct {
	Text     string   `json:"text"`
	Words    []string `json:"words"`
	Frequent []string `json:"frequent"`
	Longest  string   `json:"longest"`
	report   string
}

// Words is what the stages in the middle take.
type Words struct {
	Words []string `json:"words" jsonschema:"the words, in lower case"`
}

// Reader makes words of a text.
type Reader struct{}

// Capabilities implements agent.Agent.
func (Reader) Capabilities() agent.Capabilities {
	split := func(_ context.Context, in Text) ([]string, error) {
		return strings.FieldsFunc(strings.ToLower(in.Text), func(r rune) bool { return !unicode.IsLetter(r) }), nil
	}
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("split", "Split a text into its words.", split, agent.ReadOnly())}}
}

// Counter counts words.
type Counter struct {
	Shortest int `json:"shortest"` // words with fewer letters do not count
}

// Capabilities implements agent.Agent.
func (c *Counter) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("frequent", "The three most frequent words.", c.frequent, agent.ReadOnly())}}
}

func (c *Counter) frequent(_ context.Context, in Words) ([]string, error) {
	counts := map[string]int{}
	for _, w := range in.Words {
		if len([]rune(w)) >= c.Shortest {
			counts[w]++
		}
	}
	// Equal counts in the order of the alphabet: the same text gives the same report.
	all := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return all[:min(3, len(all))], nil
}

// Measurer measures words.
type Measurer struct{}

// Capabilities implements agent.Agent.
func (Measurer) Capabilities() agent.Capabilities {
	longest := func(_ context.Context, in Words) (string, error) {
		found := ""
		for _, w := range in.Words {
			if len([]rune(w)) > len([]rune(found)) {
				found = w
			}
		}
		return found, nil
	}
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("longest", "The longest word.", longest, agent.ReadOnly())}}
}

// Writer writes the report.
type Writer struct{}

// Capabilities implements agent.Agent.
func (Writer) Capabilities() agent.Capabilities {
	write := func(_ context.Context, d Draft) (string, error) {
		return fmt.Sprintf("%d words; most frequent: %s; longest: %s", len(d.Words), strings.Join(d.Frequent, ", "),
			d.Longest), nil
	}
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("write", "Write the report.", write,
		agent.ReadOnly())}}
}
