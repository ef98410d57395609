// Package nats carries calls and events over NATS. [Driver] is a [pubsub.Driver] on core NATS,
// [Durable] stores events in JetStream until they are handled.
//
// [Open] connects to the servers that [Options] names. When it names none, it joins the broker that
// is embedded in the processes of the project: the first of them runs it, on loopback, and when
// that process ends, another takes over with the same store.
//
// # The wire
//
// A message is a NATS message: the subject as it is, the metadata as headers with case-exact names,
// the payload as data. The message's UUID is the header uuid, left out when it equals the header
// ref or id. A call's NATS reply subject is an inbox of its process, on which the server reports
// that there are no responders. Besides the subjects of docs/reference/wire.md there are
//
//	om.1.<project>.inbox.>                 inboxes of the library, for answers of the server
//	om.1.<project>.durable.<topic>         durable events, in the stream om-<project>-events
//	om.1.<project>.replay.<agent>.<topic>  dead letters that are replayed, in the same stream
//	om.1.<project>.dead.<agent>.<topic>    dead letters, in the stream om-<project>-dead
package nats
