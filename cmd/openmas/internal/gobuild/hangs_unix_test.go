//go:build unix

package gobuild

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestAMainThatHangs(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "crew")
	for _, tt := range []struct{ main, err, said string }{
		{"exit 0", "<nil>", `^$`},
		{"exit 3", "<nil>", `^$`},
		{"exec sleep 600", "crew has not come to openmas.Main within 300ms: see what its main does before that",
			`^openmas: crew \(process \d+\) has not come to openmas.Main yet: it has 300ms\n$`},
	} {
		if err := os.WriteFile(exe, []byte("#!/bin/sh\n"+tt.main+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		p := patience{quiet: time.Millisecond, most: 300 * time.Millisecond}
		if tt.err == "<nil>" {
			p = patience{quiet: time.Minute, most: time.Minute}
		}
		var said bytes.Buffer
		err := hangs(t.Context(), exe, "crew", os.Environ(), p, &said)
		if fmt.Sprint(err) != tt.err || !regexp.MustCompile(tt.said).MatchString(said.String()) {
			t.Errorf("%s: %v, and it said %q", tt.main, err, said.String())
		}
	}
}
