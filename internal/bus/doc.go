// Package bus is the wire format of calls and events over a message broker, version 1, and what its
// users share: the subjects of a project, the frames that are sent to them, the one conversion each
// way between a call, a result or an event and its frame, and the way to receive frames.
// docs/reference/wire.md is its specification, and testdata has a golden file for each frame.
package bus
