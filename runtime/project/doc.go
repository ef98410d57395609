// Package project is the project file: which agents there are, how each is reached, and what the
// runtime may do for them.
//
// [Find] finds the file of a folder, [Load] reads it with its layers (defaults, the file, a
// profile, the environment, --set), checks all of it and returns a [Config], or every problem at
// once as [Errors], each with its file, line and column. [Print] writes the effective
// configuration, [Schema] returns what editors need to complete it, and [Fill] sets an agent's
// fields from its config block. A Config can be made in Go as well: [Config.Complete] fills in its
// defaults and checks it.
//
// A key is declared once, by the struct field that holds it: its type, and in tags its name, its
// default, its bounds, whether it can be off, and for which agents it is. The first paragraph of
// its comment says what it means. Decoding, checks, defaults, Print, the schema and the tables in
// docs/reference/project-file.md follow from that; go test ./runtime/project -update writes the
// last two anew. What keys demand of each other stands in the validator's methods: beside the
// struct where they are of one section, else in validate.go.
//
//	yaml.go, set.go   what was written becomes nested maps of leaves, which know their places
//	tree.go           the layers are laid over each other
//	expand.go         ${env:X} and ${file:X}
//	decode.go         each value is set, once
//	defaults.go       what nobody set gets its default
//	validate.go       what is declared, and what keys demand of each other, is checked
package project
