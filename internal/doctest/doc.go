// Package doctest tests the documentation: README.md and docs/*.md. Every code block is run as it
// stands, every link is followed, and what the tables say of keys, codes and commands is compared
// with the program.
//
// `go test ./internal/doctest` runs all of it; `-run Docs/README.md` one document.
package doctest
