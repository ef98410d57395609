//go:build linux

package main

import "slices"

// rows are all faults, in the order of the table.
func rows() []row {
	return slices.Concat(childRows(), linkRows(), brokerRows(), toolRows(), clientRows(), stopRows(), startRows(),
		serverRows())
}
