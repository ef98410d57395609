package console

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/logs"
)

// Escape sequences of a terminal.
const (
	startOfLine = "\r\x1b[K"

	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	red   = "\x1b[31m"
	reset = "\x1b[0m"
)

// barWidth is how many characters the bar has at most.
const barWidth = 30

// bar is how far a call is.
type bar struct {
	agent.ProgressNotice
	shown bool
}

// line draws the bar in a line of at most width columns: how far of how much, and the message.
func (b bar) line(width int) string {
	text := fmt.Sprintf("%g", b.Progress)
	if part := b.Progress / b.Total; b.Total > 0 && !math.IsNaN(part) && !math.IsInf(part, 0) {
		part = min(max(part, 0), 1)
		size := max(min(barWidth, width/3), 1)
		full := int(part * float64(size))
		text = fmt.Sprintf("%s%s %3.0f%%  %g/%g", strings.Repeat("█", full), strings.Repeat("░", size-full), part*100,
			b.Progress, b.Total)
	}
	if b.Message != "" {
		text += "  " + logs.Visible(b.Message)
	}
	return clip(text, width)
}

// clip cuts a line at width columns. A character that may take two columns is taken to.
func clip(s string, width int) string {
	columns, cut := 0, 0
	for i, r := range s {
		if columns < width { // what fits with the mark behind it
			cut = i
		}
		if columns += columnsOf(r); columns > width {
			return s[:cut] + "…"
		}
	}
	return s
}

func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r < 0x1100, r >= 0x2000 && r < 0x20d0, r >= 0x2500 && r < 0x2600: // letters, punctuation, bars
		return 1
	}
	return 2
}
