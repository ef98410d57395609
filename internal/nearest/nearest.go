// Package nearest finds the word that somebody meant who wrote an unknown one.
package nearest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxKnown bounds the words that one is compared with: a stranger may ask for many that are
// unknown.
const maxKnown = 10_000

// Word returns the known word that word is most likely a misspelling of, or "".
func Word(word string, known []string) string {
	if len(known) > maxKnown {
		return ""
	}
	word = strings.ToLower(word)
	best, bestDistance, bestPrefix := "", max(1, len(word)/3)+1, 0
	for _, k := range slices.Sorted(slices.Values(known)) {
		d, prefix := distance(word, strings.ToLower(k)), commonPrefix(word, strings.ToLower(k))
		if d >= len(k) {
			continue
		}
		if d < bestDistance || d == bestDistance && best != "" && prefix > bestPrefix {
			best, bestDistance, bestPrefix = k, d, prefix
		}
	}
	return best
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Hint is a sentence for an unknown word: the nearest known one, else all of them if they are few.
func Hint(word string, known []string) string {
	if near := Word(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 || len(known) > 20 {
		return ""
	}
	return "known: " + strings.Join(slices.SortedFunc(slices.Values(known), cmp.Compare), ", ")
}

// Meant is how an error ends that names an unknown word: the nearest known one, or "".
func Meant(word string, known []string) string {
	if near := Word(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours between a and b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 { // quadratic; nobody misspells a key that long
		return max(len(a), len(b))
	}
	x, y := []rune(a), []rune(b)
	var prev2 []int
	prev := make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], prev2[j-1]+1)
			}
		}
		prev2, prev = prev, row
	}
	return prev[len(y)]
}
