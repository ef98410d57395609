package codec

import (
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// The versions of the protocol. They are dates: later ones compare greater.
const (
	Version20241105 = "2024-11-05" // no audio, no resource links, no structured content
	Version20250326 = "2025-03-26"
	Version20250618 = "2025-06-18"
	Version20251125 = "2025-11-25" // the newest with a handshake
	Version20260728 = "2026-07-28" // no handshake and no sessions: each request names its client
	VersionUnknown  = ""           // taken for the newest with a handshake
)

// NegotiatedVersion is the version in which the SDK answers a client that asked for the version
// requested.
func NegotiatedVersion(requested string) string {
	if requested > Version20251125 || !slices.Contains(sdk.SupportedProtocolVersions(), requested) {
		return Version20251125
	}
	return requested
}
