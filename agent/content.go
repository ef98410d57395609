package agent

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// The types of content blocks, spelled as in MCP.
const (
	ContentText         = "text"
	ContentImage        = "image"
	ContentAudio        = "audio"
	ContentResourceLink = "resource_link"
	ContentResource     = "resource"
	ContentToolUse      = "tool_use"    // in sampling only
	ContentToolResult   = "tool_result" // in sampling only
)

var contentTypes = []string{ContentText, ContentImage, ContentAudio, ContentResourceLink, ContentResource,
	ContentToolUse, ContentToolResult}

// Content is one block of a result, a prompt or a sampled message. Which fields count depends on
// Type; its JSON is that of MCP.
type Content struct {
	Type string
	// Text of a text block.
	Text string
	// Data of an image or audio block, raw; base64 in JSON.
	Data []byte
	// MIMEType of image, audio and resource link.
	MIMEType string
	// URI, Name, Title, Description and Size (bytes, 0 unknown) of a resource link.
	URI, Name, Title, Description string
	Size                          int64
	// Resource of an embedded resource.
	Resource *ResourceContents
	// ToolUse of a tool_use block, ToolResult of a tool_result block.
	ToolUse    *ToolUse
	ToolResult *ToolResult
	// Annotations and Meta are carried as they are, JSON objects or empty.
	Annotations, Meta json.RawMessage
	// Raw is the block as it was sent, where the other fields do not hold all of it: a type that is
	// not known here, members that are not. It is empty for blocks of our own. It is what is
	// written: whoever makes a changed copy of a block clears it.
	Raw json.RawMessage
}

// ToolUse is a model's wish to use a tool of a [SampleRequest].
type ToolUse struct {
	// ID is what the [ToolResult] names.
	ID, Name string
	Input    json.RawMessage // an object
}

// ToolResult is what the use of a tool gave.
type ToolResult struct {
	// UseID is the ID of the [ToolUse].
	UseID      string
	Content    []Content
	Structured json.RawMessage // an object, or empty
	IsError    bool
}

// ResourceContents is the content of a resource: text, or, with a Blob that is not nil, raw bytes
// (base64 in JSON).
type ResourceContents struct {
	URI      string          `json:"uri"`
	MIMEType string          `json:"mimeType,omitempty"`
	Text     string          `json:"text,omitempty"`
	Blob     []byte          `json:"blob,omitempty"`
	Meta     json.RawMessage `json:"_meta,omitempty"`
}

// MarshalJSON writes MCP's form, which wants one of text and blob even when it is empty.
func (r ResourceContents) MarshalJSON() ([]byte, error) {
	type bare ResourceContents
	w := struct {
		bare
		Text *string `json:"text,omitempty"`
		Blob *[]byte `json:"blob,omitempty"`
	}{bare: bare(r), Text: &r.Text}
	if r.Blob != nil {
		w.Text, w.Blob = nil, &r.Blob
	}
	return marshal(w)
}

// Text is a text block.
func Text(s string) Content { return Content{Type: ContentText, Text: s} }

// Image is an image block of raw data.
func Image(data []byte, mimeType string) Content {
	return Content{Type: ContentImage, Data: data, MIMEType: mimeType}
}

// Audio is an audio block of raw data.
func Audio(data []byte, mimeType string) Content {
	return Content{Type: ContentAudio, Data: data, MIMEType: mimeType}
}

// Link is a block that points to a resource.
func Link(uri, name string) Content {
	return Content{Type: ContentResourceLink, URI: uri, Name: name}
}

// Embed is a block that holds a resource.
func Embed(r ResourceContents) Content { return Content{Type: ContentResource, Resource: &r} }

// UseTool is a block in which a model asks for a tool.
func UseTool(u ToolUse) Content { return Content{Type: ContentToolUse, ToolUse: &u} }

// UsedTool is a block that answers a [ToolUse].
func UsedTool(r ToolResult) Content { return Content{Type: ContentToolResult, ToolResult: &r} }

// wireContent is MCP's flat form; pointers mark the members that must be present even when empty.
type wireContent struct {
	Type        string            `json:"type"`
	Text        *string           `json:"text,omitempty"`
	Data        *[]byte           `json:"data,omitempty"`
	MIMEType    string            `json:"mimeType,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Name        *string           `json:"name,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Size        int64             `json:"size,omitempty"`
	Resource    *ResourceContents `json:"resource,omitempty"`
	ID          string            `json:"id,omitempty"`
	Input       json.RawMessage   `json:"input,omitempty"`
	UseID       string            `json:"toolUseId,omitempty"`
	Content     *[]Content        `json:"content,omitempty"`
	Structured  json.RawMessage   `json:"structuredContent,omitempty"`
	IsError     bool              `json:"isError,omitempty"`
	Annotations json.RawMessage   `json:"annotations,omitempty"`
	Meta        json.RawMessage   `json:"_meta,omitempty"`
}

func (c Content) isText() bool { return c.Type == ContentText }

func textOf(blocks []Content) string {
	var parts []string
	for _, c := range blocks {
		if c.isText() {
			parts = append(parts, c.Text)
		}
	}
	return strings.Join(parts, "\n")
}

// MarshalJSON writes MCP's form, or Raw where there is one.
func (c Content) MarshalJSON() ([]byte, error) {
	if len(c.Raw) > 0 {
		return c.Raw, nil
	}
	w := wireContent{Type: c.Type, MIMEType: c.MIMEType, URI: c.URI, Title: c.Title, Description: c.Description,
		Size: c.Size, Resource: c.Resource, Annotations: c.Annotations, Meta: c.Meta}
	if c.Type == ContentText || c.Text != "" {
		w.Text = &c.Text
	}
	if c.Type == ContentResourceLink || c.Name != "" {
		w.Name = &c.Name
	}
	if c.Type == ContentImage || c.Type == ContentAudio || c.Data != nil {
		data := c.Data
		if data == nil {
			data = []byte{} // nil would be null
		}
		w.Data = &data
	}
	if u := c.ToolUse; u != nil {
		w.ID, w.Name, w.Input = u.ID, &u.Name, objectOr(u.Input)
	}
	if r := c.ToolResult; r != nil {
		content := append([]Content{}, r.Content...) // nil would be null
		w.UseID, w.Content, w.Structured, w.IsError = r.UseID, &content, r.Structured, r.IsError
	}
	return marshal(w)
}

// UnmarshalJSON reads MCP's form. A block that has more than the fields hold is kept as Raw.
func (c *Content) UnmarshalJSON(b []byte) error {
	w, all, err := decodeAll[wireContent](b)
	if err != nil {
		var kind struct{ Type string }
		if json.Unmarshal(b, &kind) != nil || slices.Contains(contentTypes, kind.Type) {
			return err
		}
		w, all = wireContent{Type: kind.Type}, false // its members may be anything
	}
	*c = Content{Type: w.Type, MIMEType: w.MIMEType, URI: w.URI, Title: w.Title, Description: w.Description,
		Size: w.Size, Resource: w.Resource, Annotations: w.Annotations, Meta: w.Meta}
	c.Name, c.Text, c.Data = deref(w.Name), deref(w.Text), deref(w.Data)
	use, result := w.ID != "" || w.Input != nil, w.UseID != "" || w.Content != nil || w.Structured != nil || w.IsError
	switch w.Type {
	case ContentToolUse:
		c.ToolUse, c.Name, use = &ToolUse{ID: w.ID, Name: c.Name, Input: w.Input}, "", false
	case ContentToolResult:
		c.ToolResult, result = &ToolResult{UseID: w.UseID, Content: deref(w.Content), Structured: w.Structured,
			IsError: w.IsError}, false
	}
	if !all || use || result || !slices.Contains(contentTypes, w.Type) {
		c.Raw = bytes.Clone(b)
	}
	return nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// Blocks are content blocks where MCP takes one or several. One is written alone, which all
// versions of MCP read, and either form is read.
type Blocks []Content

// Text joins the text blocks with newlines.
func (bs Blocks) Text() string { return textOf(bs) }

// MarshalJSON implements [json.Marshaler].
func (bs Blocks) MarshalJSON() ([]byte, error) {
	if len(bs) == 1 {
		return json.Marshal(bs[0])
	}
	return json.Marshal(append([]Content{}, bs...)) // nil would be null
}

// UnmarshalJSON implements [json.Unmarshaler].
func (bs *Blocks) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		*bs = make(Blocks, 1)
		return json.Unmarshal(b, &(*bs)[0])
	}
	return json.Unmarshal(b, (*[]Content)(bs))
}
