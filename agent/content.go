package agent

import "encoding/json"

// The types of content blocks, spelled as in MCP.
const (
	ContentText         = "text"
	ContentImage        = "image"
	ContentAudio        = "audio"
	ContentResourceLink = "resource_link"
	ContentResource     = "resource"
)

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
	// Annotations and Meta are carried as they are, JSON objects or empty.
	Annotations, Meta json.RawMessage
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
	return json.Marshal(w)
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
	Annotations json.RawMessage   `json:"annotations,omitempty"`
	Meta        json.RawMessage   `json:"_meta,omitempty"`
}

func (c Content) isText() bool { return c.Type == ContentText }

// MarshalJSON writes MCP's form.
func (c Content) MarshalJSON() ([]byte, error) {
	w := wireContent{Type: c.Type, MIMEType: c.MIMEType, URI: c.URI, Title: c.Title, Description: c.Description,
		Size:     c.Size,
		Resource: c.Resource, Annotations: c.Annotations, Meta: c.Meta}
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
	return json.Marshal(w)
}

// UnmarshalJSON reads MCP's form. A type that it does not know keeps its common members.
func (c *Content) UnmarshalJSON(b []byte) error {
	var w wireContent
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*c = Content{Type: w.Type, MIMEType: w.MIMEType, URI: w.URI, Title: w.Title, Description: w.Description,
		Size:     w.Size,
		Resource: w.Resource, Annotations: w.Annotations, Meta: w.Meta}
	if w.Name != nil {
		c.Name = *w.Name
	}
	if w.Text != nil {
		c.Text = *w.Text
	}
	if w.Data != nil {
		c.Data = *w.Data
	}
	return nil
}
