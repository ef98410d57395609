// Package nats carries calls and events over NATS: [Driver] is a [pubsub.Driver] on core NATS,
// [Durable] keeps events in JetStream until they are handled.
//
// [Open] connects to the servers that are named, or, when none are, joins the broker that is
// embedded in the processes of the project: the first of them runs it, on loopback, and when that
// one dies, another takes over with what it has stored.
//
// # The wire
//
// A message is a NATS message: the subject as it is (package pubsub makes it), the metadata as
// headers with case-exact names, the payload as data. The message's UUID is the header uuid, left
// out when it equals the header ref or id. A call's NATS reply subject is an inbox of its process,
// for the server alone, which reports there that nobody listens.
//
//	om.1.<project>.inbox.>            inboxes of the library, for answers of the server
//	om.1.<project>.durable.<topic>    durable events, kept in the stream om-<project>-events
//	om.1.<project>.dead.<agent>.<topic>   those that an agent could not handle, in the stream om-<project>-dead
package nats
