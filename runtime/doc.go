// Package runtime keeps agents alive: it takes a project, starts its agents in order, lets them
// find each other, supervises what runs, retries what is safe to retry, and stops without losing
// what is in flight.
//
// [New] checks everything and starts nothing; [Runtime.Run] runs until its context ends and has
// stopped everything when it returns.
package runtime
