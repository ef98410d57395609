package project

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkLoad reads projects of many agents: ten times as many take ten times as long.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			text.WriteString("project: big\nagents:\n")
			for i := range n {
				fmt.Fprintf(&text, "  agent-%d: {type: worker, timeout: 3s}\n", i)
			}
			path := filepath.Join(b.TempDir(), "p.yaml")
			if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := Load(path, Options{Environ: []string{}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
