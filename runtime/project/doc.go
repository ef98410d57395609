// Package project is the project file: it reads the layers, checks them, fills in the defaults and
// prints the result.
package project
