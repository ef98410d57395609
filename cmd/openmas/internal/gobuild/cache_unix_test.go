//go:build unix

package gobuild

import (
	"bufio"
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that was built and runs keeps its file: it may have to start it again for a child
// process.
func TestARunningProgramIsNotRemoved(t *testing.T) {
	project := projectOf(t, `package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	fmt.Println("up")
	io.Copy(io.Discard, os.Stdin)
}
`)
	cache := t.TempDir()
	cmd := command(t, cache, "run", project)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatal(line, err)
	}
	var slots []string
	for _, where := range []string{"", "Library/Caches", ".cache"} {
		found, err := filepath.Glob(filepath.Join(cache, where, "openmas", "bin", "*"))
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, found...)
	}
	if len(slots) != 1 {
		t.Fatal(slots)
	}
	if err := remove(slots[0]); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("while it runs: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := remove(slots[0]); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
