package project

import _ "embed" // the schema

//go:embed schema.json
var schema string

// Schema returns the JSON schema of a project file, for editors: names, types, bounds, defaults and
// a sentence for each key. It cannot know what keys demand of each other, as [Load] does.
func Schema() string { return schema }
