// Package pubsub carries calls and events over a message broker. The processes of a project share
// the broker, and reach each other's agents by name.
//
// There are three things in it:
//
//   - [Communicator] carries calls. It has one subscription for replies in each process, and finds
//     the goroutine that waits for a reply by its ref. A call is delivered at most once.
//   - [Events] carries events to the agents that subscribe to their topics, as long as there are
//     any: delivery is best effort. Handlers run on watermill's Router.
//   - [Driver] is the broker: a watermill Publisher and Subscriber, and a little more. [Memory] is
//     the driver inside one process, package nats has the one for NATS, and a program may bring its
//     own.
//
// Over a driver whose processes can vanish without notice ([Remote]), the process that has accepted
// a call sends heartbeats until its reply. A caller that misses them returns outcome_unknown, since
// the call may have run.
//
// What crosses the broker is documented in docs/reference/wire.md.
package pubsub
