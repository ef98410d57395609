package doctor

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// The states of what was looked at.
const (
	ok      = "ok"
	note    = "note"    // not there, and the project runs without it
	missing = "missing" // the project does not run without it
)

// A finding is what one check has found.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

// found, lacks and without are the findings of a check.
func found(format string, args ...any) finding {
	return finding{State: ok, Found: fmt.Sprintf(format, args...)}
}

func lacks(do, format string, args ...any) finding {
	return finding{State: missing, Found: fmt.Sprintf(format, args...), Do: do}
}

func without(do, format string, args ...any) finding {
	return finding{State: note, Found: fmt.Sprintf(format, args...), Do: do}
}

func show(w io.Writer, all []finding) error {
	wide := 0
	for _, f := range all {
		wide = max(wide, len(f.Check))
	}
	var b strings.Builder
	for _, f := range all {
		lines := strings.Split(strings.TrimSpace(cmp.Or(f.Found, "-")), "\n")
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", f.State, wide, f.Check, lines[0])
		if f.Do != "" {
			fmt.Fprintf(&b, "%-7s  %-*s  → %s\n", "", wide, "", f.Do)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
