//go:build !linux

// Chaos breaks running systems on purpose: it needs Linux, for signals and /proc.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "chaos: this needs Linux: it stops and kills processes, and reads /proc")
	os.Exit(1)
}
