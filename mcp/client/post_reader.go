package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// streamEndTimeout is how long a server may take to end a stream whose answer it has sent, or the
// connection is not used again.
const streamEndTimeout = 10 * time.Millisecond

// A postReader reads what a server sends in answer to one request over streamable HTTP: its
// response, and where a stream broke, the rest of it.
type postReader struct {
	id       int64 // of the request
	log      *slog.Logger
	maxFrame int64
	resume   func(ctx context.Context, lastEvent string) (*http.Response, error)
	// The arguments are valid during the call.
	answer   func(env *wire.Envelope)
	other    func(raw []byte, env *wire.Envelope) // other messages
	answered bool
	waits    func(id int64) bool // whether another request waits for an answer
	stray    json.RawMessage     // the id of an answer that no request waits for
}

// read returns when there was an answer, or with the reason why there is none.
func (p *postReader) read(ctx context.Context, resp *http.Response) error {
	var at wire.LastEvent
	for {
		stream, err := p.readOne(resp)
		if p.answered {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("the response does not hold the answer: %w", io.ErrUnexpectedEOF)
		}
		if stream == nil || errors.Is(err, errEvent) || errors.Is(err, errStray) {
			return err
		}
		at.Seen(stream.EventReader, stream.heard)
		if resp, err = at.Resume(ctx, err, p.resume); err != nil { //nolint:bodyclose // readOne closes it
			return err
		}
	}
}

// eventStream is an event stream; heard: something came on it.
type eventStream struct {
	*wire.EventReader
	heard bool
}

// readOne reads one response. The stream is nil where there is none to go on with.
func (p *postReader) readOne(resp *http.Response) (*eventStream, error) {
	defer resp.Body.Close() // whatever it could say, the reading did
	switch {
	case resp.StatusCode == http.StatusNotFound && resp.Request.Header.Get(codec.SessionHeader) != "":
		return nil, sdk.ErrSessionMissing
	case resp.StatusCode >= 400:
		return nil, errors.New(http.StatusText(resp.StatusCode)) // the trace knows the truth
	case resp.StatusCode >= 300:
		return nil, errNotTaken
	}
	media := resp.Header.Get("Content-Type")
	if media != "application/json" && media != "text/event-stream" {
		media, _, _ = mime.ParseMediaType(media) // what does not parse is something else
	}
	switch media {
	case "application/json":
		body, err := readAll(resp, p.maxFrame)
		if p.tooLarge(err) {
			return nil, nil
		}
		body = trimmed(body)
		if err != nil || len(body) == 0 {
			return nil, err
		}
		if p.messages(body); !p.answered {
			p.deliver(wire.Undecodable(strconv.AppendInt(nil, p.id, 10), body, errNoAnswer))
		}
		return nil, nil
	case "text/event-stream":
		stream := &eventStream{EventReader: wire.NewEventReader(resp.Body, int(p.maxFrame))}
		return stream, p.events(stream, resp.Body)
	}
	return nil, fmt.Errorf("%w of type %q", errNotMCP, media)
}

// trimmed is a body, or the data of an event, without white space and a byte order mark.
func trimmed(b []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(b), []byte("\xef\xbb\xbf")))
}

func readAll(resp *http.Response, limit int64) ([]byte, error) {
	if n := resp.ContentLength; n > 0 && n <= min(limit, 1<<20) {
		b := make([]byte, n)
		_, err := io.ReadFull(resp.Body, b)
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(b)) > limit {
		return nil, &wire.TooLargeError{Limit: int(limit), Inbound: true}
	}
	return b, err
}

func (p *postReader) events(stream *eventStream, body io.ReadCloser) error {
	for !p.answered {
		name, data, err := stream.Next()
		if p.tooLarge(err) {
			continue
		}
		if err != nil {
			return err
		}
		stream.heard = true
		if data = trimmed(data); len(data) == 0 {
			continue
		}
		switch message := wire.IsMessage(name, data); {
		case message:
			p.messages(data)
		case name == "error":
			return fmt.Errorf("%w: %.200q", errEvent, data)
		}
		if id := p.stray; id != nil && !p.answered {
			return fmt.Errorf("%w: %.100s", errStray, id)
		}
	}
	late := time.AfterFunc(streamEndTimeout, func() { _ = body.Close() })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, body, 4<<10) // so that the connection can be used again
	return nil
}

// tooLarge takes a message that was passed over since it is too large: if it is the answer, the
// call fails.
func (p *postReader) tooLarge(err error) bool {
	if err == nil {
		return false
	}
	var large *wire.TooLargeError
	if !errors.As(err, &large) {
		return false
	}
	if env, mine := large.AnswerTo(p.id); mine {
		p.deliver(env)
	} else {
		p.log.Warn("passed over a message that is larger than the limit", "bytes", large.Size, "limit", large.Limit)
	}
	return true
}

var errNoAnswer = errors.New("the response holds a message, but no answer to the request")

// messages takes one message, or a batch of them. An error with an id that no request has, or
// without one, is the answer too: the server could not read the request, or does not return its id.
func (p *postReader) messages(data []byte) {
	wire.Messages(data, func(raw []byte, env *wire.Envelope) {
		if both := env.Both(); both != nil {
			if id, ok := both.AnswerID(); ok && id == p.id {
				p.log.Warn("the server's answer is a request as well: its call fails", "method", string(env.Method))
				p.deliver(both)
				return
			}
		}
		id, ok := env.AnswerID()
		if ok && id == p.id || env.Method == nil && env.Error != nil && (!ok || id <= 0) {
			p.deliver(env)
			return
		}
		if ok && env.Method == nil && !p.waits(id) {
			p.stray = bytes.Clone(env.ID)
			return
		}
		p.other(raw, env)
	}, func(data []byte, why error) {
		var env wire.Envelope
		noID := func() bool { return env.ID == nil || string(env.ID) == "null" }
		nobodys := env.Scan(data) && env.Method == nil && env.Error != nil && noID()
		if !nobodys && env.Damaged(data, why) {
			id, ok := env.AnswerID()
			nobodys = ok && id == p.id
		}
		if nobodys && p.deliver(&env) {
			return
		}
		p.log.Warn("skipped an answer that is not an MCP message", "data", string(data[:min(len(data), 200)]), "reason",
			why)
	})
}

// deliver takes the answer, if it is the first.
func (p *postReader) deliver(env *wire.Envelope) bool {
	if p.answered {
		return false
	}
	p.answered = true
	p.answer(env)
	return true
}

// resumeRequest asks for what follows an event of the response to a POST.
func resumeRequest(ctx context.Context, post *http.Request, lastEvent string) *http.Request {
	r := post.Clone(ctx)
	r.Method, r.Body, r.GetBody, r.ContentLength = http.MethodGet, nil, nil, 0
	r.Header.Del("Content-Type")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set(codec.LastEventHeader, lastEvent)
	return r
}

// errNotTaken: the message was not taken, and only the SDK knows what to do next.
var errNotTaken = errors.New("the server is elsewhere")

// errEvent is an event that says that there will be no answer, errStray an answer to no request.
var (
	errEvent = errors.New("the server sent an event named error")
	errStray = errors.New("the answer has an id that no request has")
)

var errNotMCP = errors.New("unexpected answer")
