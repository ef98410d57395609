package scaffold

import "os"

// A template is what init can make.
type template struct {
	name  string
	about string   // for the README
	call  string   // the tool to call first, with arguments
	base  string   // of the image
	extra []string // beside the project file
	code  []string // beside main.go, as examples/07-llm has it
}

const (
	alpine = "alpine:3"
	python = "python:3-slim"
)

var templates = []template{
	{name: "hello", call: "host.welcome name=Ada", base: alpine,
		about: "Two agents: the host asks the greeter, which is a process of its own."},
	{name: "pipeline", call: `editor.report text="a bee and another bee"`, base: alpine,
		about: "Three agents: the editor sends a text through the splitter and the counter, which is two processes."},
	{name: "polyglot", call: "analyst.report 'numbers=[1,2,6]'", base: python, extra: []string{"stats.py"},
		about: "Two agents: the analyst, in Go, asks stats, in Python. It needs `python3` and nothing else."},
	{name: "llm", call: `assistant.ask question="Add up my receipts, note the sum, and delete them."`, base: alpine,
		about: "An assistant that a model drives, with the tools of the other agents: `loop.go` is the heart of it. " +
			"A script\n(`script.json`) stands for the model, so it needs no key. `--profile real` takes a real one, " +
			"which `LLM_BASE_URL`,\n`LLM_MODEL` and `LLM_API_KEY` name: any server that speaks `chat/completions`.",
		extra: []string{"openmas.real.yaml"},
		code: []string{"agents.go", "approve.go", "assistant.go", "budget.go", "loop.go", "model.go", "protocol.go",
			"script.go", "script.json", "stream.go", "text.go", "trace.go"}},
}

func names() []string {
	var all []string
	for _, t := range templates {
		all = append(all, t.name)
	}
	return all
}

// exists reports whether there is a file or folder.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
