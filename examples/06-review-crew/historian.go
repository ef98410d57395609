package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
)

// History says how often and when files changed.
type History struct {
	Files map[string]Churn `json:"files" jsonschema:"by path; a file without history is missing"`
	Notes []string         `json:"notes,omitempty" jsonschema:"why there is less than one might expect"`
}

// Churn is the history of one file.
type Churn struct {
	Commits int    `json:"commits"`
	Last    string `json:"last" jsonschema:"date of the last change, YYYY-MM-DD in UTC"`
}

// Historian reads churn and age from git.
type Historian struct {
	MaxCommits int `json:"max_commits"`

	mu    sync.Mutex
	cache log // of the tree that was asked for last
}

// log is the history of a whole tree as of one commit.
type log struct {
	root, head string
	History
}

// Capabilities implements agent.Agent.
func (h *Historian) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Reads from git how often and when files changed.",
		Tools: []agent.Tool{
			agent.NewTool("churn", "Say how often some files changed, and when last.", h.Churn, agent.ReadOnly()),
		},
	}
}

// Churn looks the files up. A tree without git is no error: its files have no history.
func (h *Historian) Churn(ctx context.Context, b Batch) (*History, error) {
	h.mu.Lock() // one git at a time; the others find its answer in the cache
	defer h.mu.Unlock()
	head, err := git(ctx, b.Root, "rev-parse", "HEAD")
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return &History{Files: map[string]Churn{}, Notes: []string{why(err) + ": ranked by complexity alone"}}, nil
	}
	if h.cache.root != b.Root || h.cache.head != head {
		if h.cache, err = h.read(ctx, b.Root, head); err != nil {
			return nil, err
		}
	}
	out := &History{Files: map[string]Churn{}, Notes: h.cache.Notes}
	for _, path := range b.Paths {
		if c, ok := h.cache.Files[path]; ok {
			out.Files[path] = c
		}
	}
	return out, nil
}

func (h *Historian) read(ctx context.Context, root, head string) (log, error) {
	l := log{root, head, History{Files: map[string]Churn{}}}
	if shallow, err := git(ctx, root, "rev-parse", "--is-shallow-repository"); err == nil && shallow == "true" {
		l.Notes = append(l.Notes, "shallow clone: churn counts only the commits that are here")
	}
	out, err := git(ctx, root, "-c", "core.quotePath=false", "log", "--no-merges", "--no-renames", "--name-only",
		"--relative", "--max-count", strconv.Itoa(h.MaxCommits+1), "--format=%x00%ct", head, "--", ".")
	if err != nil {
		return l, fmt.Errorf("read the history of %s: %w", root, err)
	}
	commits, date := 0, ""
	for line := range strings.SplitSeq(out, "\n") {
		if at, ok := strings.CutPrefix(line, "\x00"); ok {
			seconds, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return l, fmt.Errorf("read the history of %s: commit time %q: %w", root, at, err)
			}
			commits, date = commits+1, time.Unix(seconds, 0).UTC().Format(time.DateOnly)
		} else if line != "" && commits <= h.MaxCommits {
			c := l.Files[line]
			l.Files[line] = Churn{Commits: c.Commits + 1, Last: max(c.Last, date)}
		}
	}
	if commits > h.MaxCommits {
		l.Notes = append(l.Notes, fmt.Sprintf("long history: churn counts the newest %d commits", h.MaxCommits))
	}
	return l, nil
}
