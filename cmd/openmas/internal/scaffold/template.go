package scaffold

import "os"

// A template is what init can make.
type template struct {
	name  string
	about string // for the README
	call  string // the tool to call first, with arguments
	base  string // of the image
	extra []string
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
	{name: "polyglot", call: "analyst.report numbers=[1,2,6]", base: python, extra: []string{"stats.py"},
		about: "Two agents: the analyst, in Go, asks stats, in Python. It needs `python3` and nothing else."},
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
