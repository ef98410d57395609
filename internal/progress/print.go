package main

import (
	"fmt"
	"io"
	"time"
)

const (
	first = time.Second     // until something is printed
	quiet = 5 * time.Second // for which nothing may be printed, after that
)

// A printer prints lines. It is used by one goroutine.
type printer struct {
	out         io.Writer
	began, last time.Time
}

func newPrinter(out io.Writer) *printer {
	return &printer{out, time.Now(), time.Now().Add(first - quiet)}
}

func (p *printer) print(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
	p.last = time.Now()
}

// since is a time span as people read it.
func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second) }
