package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/post"
)

// Write implements [sdk.Connection]: it POSTs the message and waits for the receipt.
func (c *SSEClient) Write(ctx context.Context, msg jsonrpc.Message) error {
	if resp, ok := msg.(*jsonrpc.Response); ok {
		_ = c.answering(resp.ID) // not when the receipt comes: the server may ask with it again before
		defer c.Release()
	}
	data, t, err := c.outbound(ctx, msg, c.o.MaxBody)
	if data == nil {
		return err
	}
	return errors.Join(err, c.post(ctx, t, data))
}

// WriteRaw implements [Conn].
func (c *SSEClient) WriteRaw(ctx context.Context, msg []byte) error {
	if err := checkRaw(msg, c.o.MaxBody); err != nil {
		return err
	}
	return c.post(ctx, traceOf(ctx), bytes.Clone(msg)) // the HTTP transport may read it after the call
}

func (c *SSEClient) post(ctx context.Context, t *Trace, data []byte) error {
	if err := cmpErr(ctx.Err(), c.Err()); err != nil {
		return &NotSentError{Cause: err}
	}
	if err := c.receipts.begin(); err != nil {
		return &NotSentError{Cause: err}
	}
	defer c.receipts.end()
	if t == nil {
		t = new(Trace)
	}
	t.late.Store(true)
	ctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, traceKey{}, t), c.o.PostTimeout, c.noReceipt)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	r := post.NewRequest(ctx, c.template, data)
	resp, err := c.do(r)
	if err != nil {
		err = doError(r, err)
		if closed := c.Err(); closed != nil {
			err = fmt.Errorf("%w: %w", closed, err)
		}
		if !t.Sent() {
			return &NotSentError{Cause: err}
		}
		return &sentError{err}
	}
	if resp.StatusCode < 300 {
		t.responded(nil)
		err := c.answerInReceipt(data, resp)
		return errors.Join(err, resp.Body.Close())
	}
	he := readHTTPError(r, resp)
	t.responded(he)
	if EndsSession(he.Status) {
		// Not wrapped: this error ends other calls too, and those were not refused.
		c.abort(fmt.Errorf("the server does not know the session any more: %v", he)) //nolint:errorlint // see above
	}
	if he.Refused() {
		return &NotSentError{Cause: he}
	}
	return &sentError{he}
}

// EndsSession reports whether an HTTP status means that the server has no such session any more.
func EndsSession(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// answerInReceipt reads the receipt of a request, which is a word or nothing: the answer comes on
// the stream. A server that has forgotten the session has no stream for it, and may answer here.
func (c *SSEClient) answerInReceipt(request []byte, resp *http.Response) error {
	if mt, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mt != "application/json" {
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
		return nil
	}
	var asked, answer Envelope
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.o.MaxFrame)+1))
	if err != nil || len(body) > c.o.MaxFrame || !asked.Scan(request) || asked.Method == nil || asked.ID == nil ||
		!answer.Scan(body) || answer.Method != nil || answer.Result == nil && answer.Error == nil {
		return nil //nolint:nilerr // it is a receipt
	}
	mine, _ := (&Envelope{ID: asked.ID}).AnswerID()
	switch id, ok := answer.AnswerID(); {
	case ok && id != mine:
		return nil
	case !ok && answer.Error == nil:
		return nil
	case !ok: // it does not even say which request it refuses
		body = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":%s}`, asked.ID, answer.Error)
	}
	return c.accept(c.ctx, body, &answer)
}

// do is http.Client.Do without what that prepares for redirects, which costs some and is hardly
// ever needed.
func (c *SSEClient) do(r *http.Request) (*http.Response, error) {
	if c.http.Transport == nil || c.http.Jar != nil || r.URL.User != nil {
		return c.http.Do(r)
	}
	resp, err := c.http.Transport.RoundTrip(r)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode >= 400 || IsDeadRedirect(r, resp) {
		return resp, err
	}
	again := r.Clone(r.Context())
	if again.Body, err = r.GetBody(); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	_ = resp.Body.Close() // the request is made again
	return c.http.Do(again)
}
