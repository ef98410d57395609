package codec

import (
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// toContent is never nil: the protocol wants a list.
func toContent(blocks []agent.Content, version string) []sdk.Content {
	out := make([]sdk.Content, len(blocks))
	for i, c := range blocks {
		out[i] = toBlock(c, version)
	}
	return out
}

// toBlock converts one block. Clients of versions that do not know its type fail on the whole
// result, so they get a line of text instead.
func toBlock(c agent.Content, version string) sdk.Content {
	var notes *sdk.Annotations
	var meta sdk.Meta
	decodeOptional(c.Annotations, &notes)
	decodeOptional(c.Meta, &meta)
	switch {
	case c.Type == agent.ContentText:
		return &sdk.TextContent{Text: c.Text, Annotations: notes, Meta: meta}
	case c.Type == agent.ContentImage:
		return &sdk.ImageContent{Data: c.Data, MIMEType: c.MIMEType, Annotations: notes, Meta: meta}
	case c.Type == agent.ContentAudio && version != Version20241105:
		return &sdk.AudioContent{Data: c.Data, MIMEType: c.MIMEType, Annotations: notes, Meta: meta}
	case c.Type == agent.ContentAudio:
		return &sdk.TextContent{Text: noAudio(c.MIMEType, len(c.Data))}
	case c.Type == agent.ContentResourceLink && (version == VersionUnknown || version >= Version20250618):
		link := &sdk.ResourceLink{URI: c.URI, Name: c.Name, Title: c.Title, Description: c.Description,
			MIMEType: c.MIMEType, Annotations: notes, Meta: meta}
		if c.Size > 0 {
			link.Size = &c.Size
		}
		return link
	case c.Type == agent.ContentResourceLink:
		return &sdk.TextContent{Text: strings.TrimSpace(c.Name + " " + c.URI)}
	case c.Type == agent.ContentResource && c.Resource != nil:
		return &sdk.EmbeddedResource{Resource: toContents(c.Resource), Annotations: notes, Meta: meta}
	}
	b, err := json.Marshal(c)
	if err != nil {
		b = []byte(c.Text)
	}
	return &sdk.TextContent{Text: string(b)}
}

func toContents(r *agent.ResourceContents) *sdk.ResourceContents {
	out := &sdk.ResourceContents{URI: r.URI, MIMEType: r.MIMEType, Text: r.Text, Blob: r.Blob}
	decodeOptional(r.Meta, &out.Meta)
	return out
}

// decodeOptional reads what an agent carries as raw JSON. What does not decode is left out: it
// decorates.
func decodeOptional(raw json.RawMessage, out any) {
	if len(raw) > 0 {
		_ = json.Unmarshal(raw, out)
	}
}

// noAudio stands for a sound of size bytes.
func noAudio(mimeType string, size int) string {
	return fmt.Sprintf("[audio, %s, %d bytes: the client's protocol version cannot carry it]", mimeType, size)
}
