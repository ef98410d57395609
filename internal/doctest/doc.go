// Package doctest tests the documentation: README.md, the pages beside it and those below docs.
// Every code block is run as it stands, every link is followed, and what the tables say of keys,
// codes and commands is compared with the program.
//
// `go test ./internal/doctest` runs all of it; with `-run Docs/README.md` one document.
//
// # Blocks
//
// The language of a block decides how it is run:
//
//	```go          a complete file: compiled and vetted, in a module that requires this one
//	```yaml        a project file, or keys of one: it is loaded, and where it names a package,
//	               checked against the package's types
//	```console     commands and what they print: see console_test.go
//	```json        is valid JSON
//	```sh          a script, which a console block of the document runs
//	```python      a program, which an agent or a console block of the document runs
//	```typescript  the same
//	```text        nothing
//
// A path after the language (```go weather/main.go) writes the block to that file before anything
// runs, so that the blocks of a document make up a program. With "new" after the path it is written
// at its place in the document, over what is there. A file in a folder that the document has
// `openmas init` make is not written without that word: the block has to be what init wrote. The
// working folder is a clone of this repository with the working tree's files, for each document one
// of its own: documents run beside each other.
//
// # Python and TypeScript
//
// A document with such blocks needs an SDK that this machine may not have. OPENMAS_DOCTEST_VENV
// names a Python environment, which becomes .venv beside each Python file, and
// OPENMAS_DOCTEST_NODE_MODULES the packages beside each TypeScript file. `make interop` has both
// and runs these documents. Without what the document needs its test is skipped, and says so: its
// files are written, its Go and YAML are checked, its commands are not run.
package doctest
