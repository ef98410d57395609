package child

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Sight is what there is, at one moment, of the programs and files that a command names. It is
// for programs that only a shell or another interpreter knows to be missing: the words of a command
// are all that says which one that may be.
type Sight map[string]seen

// seen is one program or file.
type seen struct {
	there, executable bool
	changed           time.Time // of the program itself, and of a script that it runs
}

// maxWords bounds how many words of a command are looked at.
const maxWords = 64

// Look looks for everything that the command may name: relative to its folder, and as programs in
// its PATH.
func (s *Spec) Look() Sight {
	sight := Sight{}
	env, err := environment(s.Env)
	if err != nil {
		return sight
	}
	scripts := 2 // the program, and what it may interpret
	for _, word := range s.words() {
		if _, known := sight[word]; known || len(sight) == maxWords {
			continue
		}
		one := seen{}
		path := word
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Dir, path)
		}
		if found, err := lookUp(word, s.Dir, env); err == nil {
			one, path = seen{there: true, executable: true}, found
		} else if _, err := exec.LookPath(path); err == nil {
			one.executable = true
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			if one.there = true; scripts > 0 {
				one.changed = info.ModTime()
				scripts--
			}
		}
		sight[word] = one
	}
	return sight
}

// words are the parts of a command that may name a program or a file. A script for a shell, in one
// argument, has many.
func (s *Spec) words() (words []string) {
	for _, arg := range s.Command {
		for _, word := range strings.FieldsFunc(arg, func(c rune) bool {
			return strings.ContainsRune(" \t\n;&|()<>{}=\"'`$", c)
		}) {
			if !strings.HasPrefix(word, "-") {
				words = append(words, word)
			}
		}
	}
	return words
}

// MendedSince reports whether something is there, or can be executed, that was not before, or
// whether the program or its script is another one.
func (s Sight) MendedSince(before Sight) bool {
	for word, now := range s {
		old := before[word]
		if now.there && !old.there || now.executable && !old.executable ||
			!now.changed.IsZero() && !now.changed.Equal(old.changed) {
			return true
		}
	}
	return false
}
