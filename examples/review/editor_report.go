package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/openmas/openmas/agent"
)

func (e *Editor) reportFile() string { return filepath.Join(e.env.StateDir, "review.md") }

func (e *Editor) latest(context.Context) (string, error) {
	b, err := os.ReadFile(e.reportFile())
	if os.IsNotExist(err) {
		return "", agent.NotFound("a review: call editor.review first;")
	}
	return string(b), err
}

// replaceFile writes a file whole: whoever reads it meanwhile gets the old one.
func replaceFile(name, text string) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// HotSpotQuestion are the arguments of the prompt.
type HotSpotQuestion struct {
	Path string `json:"path" jsonschema:"a file of the last review"`
	For  string `json:"for,omitempty" jsonschema:"who asks: maintainer, newcomer"`
}

func (e *Editor) explain(ctx context.Context, q HotSpotQuestion) (*agent.PromptResult, error) {
	report, err := e.latest(ctx)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("You advise the %s of a Go project. This is its latest review:\n\n%s\n\nExplain in a few "+
		"sentences why %s is a hot spot, and what to do about it first.",
		cmp.Or(q.For, "maintainer"), report, q.Path)
	return &agent.PromptResult{Description: "Why " + q.Path + " is a hot spot",
		Messages: []agent.Message{agent.UserText(text)}}, nil
}
