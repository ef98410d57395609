package bus

// version is the major version of this wire format.
const version = "1"

// The kinds of frames. A receiver that does not know a later kind of version 1 ignores it.
const (
	KindCall      = "call"      // do this
	KindCancel    = "cancel"    // the caller does not wait any more
	KindReply     = "reply"     // the end of a call
	KindHeartbeat = "heartbeat" // the call is still being served
	KindNotice    = "notice"    // progress or a log line, while a call runs
	KindAsk       = "ask"       // a question to the caller, while a call runs
	KindAnswer    = "answer"    // the answer to an ask
	KindEvent     = "event"     // something happened
	KindPresence  = "presence"  // a process reports that it is there
)

// The names of presence frames. Their source is the process. Without a payload, the last one holds.
const (
	PresenceHello = "hello" // it has just come, or was cut off: the others report too
	PresenceHere  = "here"
	PresenceGone  = "gone" // it leaves in order
)

// OpInfo is the operation that communicators answer themselves: what the agent offers.
const OpInfo = "info"

// The kinds of payloads.
const (
	BodyResumed    = "resumed"    // of a call: input, inputs and state
	BodyStructured = "structured" // a JSON value
	BodyResult     = "result"     // an agent.Result
	BodyMCP        = "mcp"        // the result of a tool as a foreign MCP server sent it
	BodyError      = "error"      // an agent.Error
)

// MaxMetadata is how many bytes of metadata, keys and values, a frame may have.
const MaxMetadata = 16 << 10

const metaPrefix = "meta-"

// A Frame is a message as docs/reference/wire.md describes it. Fields that are zero are not sent.
type Frame struct {
	Kind, Ref, ReplyTo       string
	Op, Agent, Name, ID      string
	Timeout, Sent            int64 // ms
	Caller, Instance, User   string
	Root, Path, Key, Keeper  string
	Budget                   string
	Depth, Attempt           int
	Back, Untrusted          bool
	Body, Ask, Topic, Source string
	Meta                     map[string]string
	Payload                  []byte
}
