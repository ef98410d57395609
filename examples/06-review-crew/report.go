package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/openmas/openmas/agent"
)

// A report is the file of the latest review.
type report string

func (r report) read() (string, error) {
	b, err := os.ReadFile(string(r))
	if os.IsNotExist(err) {
		return "", agent.NotFound("a review: call editor.review first;")
	}
	return string(b), err
}

// replace writes the file whole: whoever reads it meanwhile gets the old one.
func (r report) replace(text string) error {
	f, err := os.CreateTemp(filepath.Dir(string(r)), filepath.Base(string(r))+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), string(r))
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

func (r report) explain(q HotSpotQuestion) (*agent.PromptResult, error) {
	latest, err := r.read()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("You advise the %s of a Go project. This is its latest review:\n\n%s\n\nExplain in a few "+
		"sentences why %s is a hot spot, and what to do about it first.",
		cmp.Or(q.For, "maintainer"), latest, q.Path)
	return &agent.PromptResult{Description: "Why " + q.Path + " is a hot spot",
		Messages: []agent.Message{agent.UserText(text)}}, nil
}
