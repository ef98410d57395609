package codec

import "time"

// The headers of the protocol over HTTP.
const (
	VersionHeader   = "Mcp-Protocol-Version"
	SessionHeader   = "Mcp-Session-Id"
	LastEventHeader = "Last-Event-ID"
)

// MaxErrorBody is how many bytes of an HTTP error's body are read.
const MaxErrorBody = 64 << 10

// CloseTimeout is how long a session over HTTP may take to tell the server that it is over.
const CloseTimeout = 2 * time.Second
