// Package difftest holds the differential test of the fast path: every conversation gives the same
// answers, notifications and errors with it and without, on both ends and on all transports. It has
// nothing but tests, since it imports both ends, which do not import each other.
package difftest
