package client

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
)

func TestTargetCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		target Target
		want   string // part of the error; empty: none
	}{
		"stdio":             {Target{Transport: mcp.Stdio, Command: []string{"server"}}, ""},
		"url":               {Target{Transport: mcp.SSE, URL: "http://127.0.0.1:1"}, ""},
		"launched":          {Target{Transport: mcp.Streamable, Command: []string{"server"}, URL: "/other"}, ""},
		"no transport":      {Target{Command: []string{"server"}}, "unknown transport"},
		"stdio, no command": {Target{Transport: mcp.Stdio}, "needs a command"},
		"streams":           {Target{Transport: mcp.Stdio, Streams: noStreams}, ""},
		"streams, command": {Target{Transport: mcp.Stdio, Streams: noStreams, Command: []string{"server"}},
			"streams have no command"},
		"http with streams": {Target{Transport: mcp.SSE, URL: "http://x", Streams: noStreams}, "streams"},
		"stdio with URL":    {Target{Transport: mcp.Stdio, Command: []string{"server"}, URL: "http://x"}, "has no URL"},
		"http, nothing":     {Target{Transport: mcp.Streamable}, "needs a URL"},
		"http with hello":   {Target{Transport: mcp.Streamable, URL: "http://x", Hello: []byte("x")}, "hello"},
		"two addresses": {Target{Transport: mcp.SSE, Command: []string{"server"}, URL: "http://x/sse"},
			"announces the rest"},
		"hello of two": {Target{Transport: mcp.Stdio, Command: []string{"server"}, Hello: []byte("a\nb")},
			"line break"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.target.Check()
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || agent.CodeOf(err) != agent.CodeInvalidArgument {
				t.Fatalf("got %v, want invalid_argument with %q", err, tc.want)
			}
		})
	}
}

func TestTargetEndpoint(t *testing.T) {
	for _, tc := range []struct {
		transport      mcp.Transport
		url, announced string
		want           string
	}{
		{mcp.SSE, "http://127.0.0.1:80", "", "http://127.0.0.1:80/sse"},
		{mcp.Streamable, "https://example.org/", "", "https://example.org/mcp"},
		{mcp.Streamable, "https://example.org/deep/mcp?tenant=1", "", "https://example.org/deep/mcp?tenant=1"},
		{mcp.SSE, "", "http://127.0.0.1:81", "http://127.0.0.1:81/sse"},
		{mcp.SSE, "", "http://127.0.0.1:81/events", "http://127.0.0.1:81/events"},
		{mcp.Streamable, "/v1/mcp", "http://127.0.0.1:81", "http://127.0.0.1:81/v1/mcp"},
		{mcp.Streamable, "ftp://example.org", "", ""},
		{mcp.Streamable, "example.org/mcp", "", ""},
	} {
		target := Target{Transport: tc.transport, URL: tc.url}
		got, err := target.Endpoint(tc.announced)
		if (err != nil) != (tc.want == "") || got != tc.want {
			t.Errorf("%+v: %q, %v", tc, got, err)
		}
	}
}

func TestTargetNamesNoSecret(t *testing.T) {
	for _, target := range []Target{
		{Name: "search", Transport: mcp.Streamable, URL: "https://user:secret@example.org/mcp?token=secret",
			Headers: map[string]string{"Authorization": "secret"}},
		{Name: "notes", Transport: mcp.Stdio, Command: []string{"/usr/bin/notes", "--token=secret"},
			Env: map[string]string{"T": "secret"}, Hello: []byte("secret\n")},
		{Transport: mcp.SSE, URL: "https://secret\x00@example.org"},
	} {
		if s := target.String(); strings.Contains(s, "secret") {
			t.Errorf("%q names a secret", s)
		}
		if err := target.Check(); err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q names a secret", err)
		}
		if _, err := target.Endpoint(""); err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q names a secret", err)
		}
	}
}

func noStreams(context.Context) (io.ReadCloser, io.WriteCloser, error) {
	return nil, nil, errors.New("there is no server")
}

// A server that is reached over streams is served as a program is, and why it cannot be reached is
// told.
func TestStreams(t *testing.T) {
	near := newRaw(nil).serve(t)
	s := mustConnect(t, Target{Name: "raw", Transport: mcp.Stdio,
		Streams: func(context.Context) (io.ReadCloser, io.WriteCloser, error) { return near.Reader, near.Writer, nil }},
		Options{})
	mustCall(t, s, "good", nil, nil)
	_, err := Connect(t.Context(), Target{Name: "raw", Transport: mcp.Stdio, Streams: noStreams}, Options{})
	if err == nil || !strings.Contains(err.Error(), "there is no server") || !agent.AsError(err).NotExecuted {
		t.Error(err)
	}
}
