package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const (

	// listenPause is between two tries to open the stream for what the server says on its own.
	listenPause = time.Second
)

// streamableUplink is a session over streamable HTTP. It reads the handshake's answer on its way:
// the session's id and version go with every later request.
type streamableUplink struct {
	b   *Bridge
	url string

	ctx  context.Context // of the stream that the server speaks on
	end  context.CancelCauseFunc
	work sync.WaitGroup
	once sync.Once

	mu      sync.Mutex
	session string
	version string
}

func newStreamableUplink(b *Bridge, url string) *streamableUplink {
	u := &streamableUplink{b: b, url: url}
	u.ctx, u.end = context.WithCancelCause(context.Background())
	return u
}

func (u *streamableUplink) settle(context.Context) {} // an answer comes before send returns

func (u *streamableUplink) done() <-chan struct{} { return u.ctx.Done() }
func (u *streamableUplink) err() error            { return context.Cause(u.ctx) }

// request makes one of the session's HTTP requests. last is the event after which a stream is to go
// on, or empty.
func (u *streamableUplink) request(ctx context.Context, method string, body []byte, last string) (*http.Response,
	error) {
	r, err := http.NewRequestWithContext(ctx, method, u.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	} else {
		r.Header.Set("Accept", "text/event-stream")
	}
	if last != "" {
		r.Header.Set(codec.LastEventHeader, last)
	}
	u.mu.Lock()
	if u.session != "" {
		r.Header.Set(codec.SessionHeader, u.session)
	}
	if u.version != "" {
		r.Header.Set(codec.VersionHeader, u.version)
	}
	u.mu.Unlock()
	return u.b.client.Do(r)
}

func (u *streamableUplink) send(ctx context.Context, msg []byte, env *wire.Envelope) error {
	if len(msg) > u.b.o.MaxBody {
		return &wire.TooLargeError{Size: len(msg), Limit: u.b.o.MaxBody}
	}
	greeting := string(env.Method) == "initialize"
	resp, err := u.request(ctx, http.MethodPost, msg, "")
	if err != nil {
		return err
	}
	defer func() { closeBody(resp) }()
	if resp.StatusCode >= 300 {
		return u.refusal(resp, env, greeting)
	}
	if id := resp.Header.Get(codec.SessionHeader); greeting && id != "" {
		u.mu.Lock()
		u.session = id
		u.mu.Unlock()
	}
	answered := env.ID == nil || env.Method == nil // then there is no answer to wait for
	take := func(raw []byte) {
		var got wire.Envelope
		if got.Scan(raw) && got.Method == nil && bytes.Equal(got.ID, env.ID) {
			answered = true
			if greeting {
				u.setVersion(got.Result)
			}
		}
		u.b.write(raw)
	}
	if isStream(resp) {
		for at := (wire.LastEvent{}); ; {
			err := u.events(resp, &at, take)
			if answered {
				break
			}
			if err == nil {
				err = errUnanswered
			}
			closeBody(resp)
			if resp, err = at.Resume(ctx, err, u.rest); err != nil {
				return err
			}
			if resp.StatusCode >= 300 {
				return u.refusal(resp, env, false)
			}
		}
	} else {
		body, err := io.ReadAll(io.LimitReader(resp.Body, int64(u.b.o.MaxFrame)+1))
		switch {
		case err != nil:
			return fmt.Errorf("read the answer: %w", err)
		case len(body) > u.b.o.MaxFrame:
			return &wire.TooLargeError{Limit: u.b.o.MaxFrame, Inbound: true}
		}
		if body = bytes.TrimSpace(body); len(body) > 0 {
			take(body)
		}
	}
	if string(env.Method) == "notifications/initialized" {
		u.once.Do(func() { u.work.Go(u.listen) })
	}
	if !answered {
		return errUnanswered
	}
	return nil
}

var errUnanswered = errors.New("the server closed the stream without an answer")

func isStream(resp *http.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
}

// closeBody closes the body of a response, if there is one. It was read as far as it goes, or is of
// no interest.
func closeBody(resp *http.Response) {
	if resp != nil {
		_ = resp.Body.Close()
	}
}

// events reads the messages of a stream to its end.
func (u *streamableUplink) events(resp *http.Response, at *wire.LastEvent, take func([]byte)) error {
	in, heard := wire.NewEventReader(resp.Body, u.b.o.MaxFrame), false
	defer func() { at.Seen(in, heard) }()
	for {
		name, data, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the answer's stream: %w", err)
		}
		heard = true
		if data = bytes.TrimSpace(data); len(data) > 0 && wire.IsMessage(name, data) {
			take(data)
		}
	}
}

// rest asks for what follows an event.
func (u *streamableUplink) rest(ctx context.Context, id string) (*http.Response, error) {
	return u.request(ctx, http.MethodGet, nil, id)
}

// setVersion notes the version that the server chose.
func (u *streamableUplink) setVersion(result []byte) {
	var hello struct {
		Version string `json:"protocolVersion"`
	}
	if json.Unmarshal(result, &hello) == nil {
		u.mu.Lock()
		u.version = hello.Version
		u.mu.Unlock()
	}
}

// refusal is the error for an HTTP status; none where the body is an answer, which is passed on.
// Without a session, after the handshake failed or the server forgot it, there is nothing left to
// bridge.
func (u *streamableUplink) refusal(resp *http.Response, asked *wire.Envelope, greeting bool) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, codec.MaxErrorBody)) // what could be read is shown
	err := fmt.Errorf("the server answered %s: %.512s", resp.Status, bytes.TrimSpace(body))
	u.mu.Lock()
	session := u.session
	u.mu.Unlock()
	if greeting || resp.StatusCode == http.StatusNotFound && session != "" {
		time.AfterFunc(listenPause, func() { u.end(err) }) // when the client has its answer
	}
	var said wire.Envelope
	if said.Scan(body) && said.Error != nil && asked.ID != nil && bytes.Equal(said.ID, asked.ID) {
		u.b.write(bytes.TrimSpace(body))
		return nil
	}
	return err
}

// listen passes on what the server says outside of answers, as long as it offers a stream for that.
func (u *streamableUplink) listen() {
	var at wire.LastEvent
	for {
		resp, err := u.rest(u.ctx, at.ID)
		if err == nil {
			ok := resp.StatusCode == http.StatusOK && isStream(resp)
			if ok {
				_ = u.events(resp, &at, u.b.write) // it is opened again, however it ended
			}
			closeBody(resp)
			switch {
			// it may not have noticed yet that the stream broke
			case ok || resp.StatusCode >= 500 || resp.StatusCode == http.StatusConflict:
			case resp.StatusCode == http.StatusNotFound:
				u.end(errors.New("the session ended"))
				return
			case at.ID == "":
				return
			default:
				at.ID = "" // what followed is not there any more
			}
		}
		if backoff.Sleep(u.ctx, max(at.Retry, listenPause)) != nil {
			return
		}
	}
}

func (u *streamableUplink) close(ctx context.Context) {
	u.mu.Lock()
	session := u.session
	u.mu.Unlock()
	if session != "" && u.ctx.Err() == nil {
		if resp, err := u.request(ctx, http.MethodDelete, nil, ""); err == nil {
			_ = resp.Body.Close() // that the server does not mind is all there is to know
		}
	}
	u.end(errClosed)
	u.work.Wait()
}
