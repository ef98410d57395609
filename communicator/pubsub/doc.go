// Package pubsub is the communicator that sends calls and events over a message broker: any
// [Driver], which is a watermill Publisher and Subscriber with a little more. [Memory] is the
// driver inside one process.
//
// Calls ([Communicator]) need one reply subscription per process and a correlation map, never a
// subscription per call. A call is delivered at most once: it is acknowledged before it runs.
// Events ([Events]) run on watermill's Router.
//
// # The wire, version 1
//
// Everything is a message with metadata and a payload, a frame. The subjects of a project, where a
// process has a random id:
//
//	om.1.<project>.call.<agent>      call                            one instance of the agent gets it
//	om.1.<project>.control.<agent>   cancel, heartbeat               every instance of the agent gets it
//	om.1.<project>.reply.<process>   reply, heartbeat, notice,       the process that called, or that asked back
//	                                 ask, answer
//	om.1.<project>.event.<topic>     event                           one instance of every agent that listens
//	om.1.<project>.presence          presence                        every process
//
// Where the broker stands between processes that can vanish without a word ([Remote]), whoever has
// accepted a call sends heartbeats until its reply: the first after 50 to 100 ms, then one each 500
// ms. A caller that has heard some and then nothing for 1.5 s gives up with outcome_unknown. For
// the first it waits up to 5 s, and 20 s while other calls of its session are answered; after 1.5 s
// it sends a heartbeat itself, to all instances, which need not answer: when there is none, it
// gives up. One that gets a heartbeat for a call that it does not wait for answers with a cancel.
//
// Each frame says v=1 and its kind. A frame of a newer major version is refused with the code
// unimplemented; a kind that is not known is ignored by the receiver of replies, and refused by the
// one of calls. Other keys, each left out when empty or zero:
//
//	ref        names the call, in every frame about it (in an answer: the question);
//	           <process>-<number>, never used twice
//	reply-to   the subject for what comes back: replies to a call, answers to an ask
//	op         tool, prompt, resource, complete, event; or info, which asks what the agent offers and gives agent.Info
//	agent name the callee and what is called there; a heartbeat has the agent
//	id         the call's or the event's own id, the same for each attempt
//	timeout    how many milliseconds the caller still waited when it sent the call at
//	sent       Unix milliseconds
//	caller key depth attempt        as in agent.Call; attempt 1 is left out
//	back       1: the caller takes notices and answers questions
//	body       what the payload is: see below
//	ask        in an ask: the ref that its answer is to carry
//	topic source                    of an event; the source of a presence is the process, its name hello, here or gone
//	traceparent tracestate baggage  W3C trace context
//	meta-<key>                      any other metadata of the call or event
//
// The payload of a call is its input, JSON as it is; body=resumed: an object of input, inputs and
// state. That of a reply or an answer is, by body, structured: the JSON value alone; result: an
// agent.Result; error: an agent.Error. That of a notice is an agent.Notice, of an ask an
// agent.Request, of an event its JSON. A cancel has none. That of a presence is what the process
// says of itself, JSON; without one, what it said last holds.
//
// Values are UTF-8 on one line: a percent sign, a control character, a space at either end and
// whatever is not UTF-8 are written as %XX. So are, in the key of other metadata, all bytes but
// ASCII letters, digits, -, _ and dots.
package pubsub
