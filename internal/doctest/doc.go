// Package doctest tests the documentation: README.md, the pages beside it and those below docs.
// Every code block is run as it stands, every link is followed, and what the tables say of keys,
// codes and commands is compared with the program.
//
// `go test ./internal/doctest` runs all of it; with `-run Docs/README.md` one document.
package doctest
