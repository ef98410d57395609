package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// A lineInput takes the messages out of what the peer of a [Line] writes. One goroutine reads.
type lineInput struct {
	*core
	r       io.Reader
	server  bool         // the peer is a client
	limit   int          // bytes of a message
	reply   func([]byte) // sends a message, if there is room for it
	say     func([]byte) // sends one to a client, which is read no further before there is room
	junk    junk
	joining joining
	batches batches
}

// readMessages reads until the input ends or the connection does, and returns why.
func (l *lineInput) readMessages() error {
	in := newLineReader(l.r, l.limit, lineBuffer)
	if !l.server {
		in.patience, in.quiet = l.patience, l.quiet
	}
	defer l.junk.end()
	var env Envelope
	for {
		line, err := in.next()
		select {
		case <-l.done:
			return l.Err()
		default:
		}
		if large := tooLarge(err); large != nil {
			l.tooLarge(large)
			continue
		}
		if err == nil {
			err = l.take(line, &env)
		}
		if err != nil {
			return err
		}
	}
}

// take takes the messages out of a line. The error ends the connection.
func (l *lineInput) take(line []byte, env *Envelope) error {
	if line = bytes.TrimSpace(line); bytes.HasPrefix(line, byteOrderMark) {
		line = bytes.TrimSpace(line[len(byteOrderMark):])
	}
	if len(line) == 0 {
		return nil
	}
	if !l.server {
		return l.takeFromServer(line, env)
	}
	for len(line) > 0 { // some clients leave out the end of the line between two messages
		one, scanned := line, env.Scan(line)
		if line = nil; !scanned {
			if line = beyond(one); len(line) > 0 {
				one = one[:len(one)-len(line)]
				scanned = env.Scan(one)
			}
		}
		bad := l.accept(one, env, scanned)
		if bad == nil {
			l.junk.message()
			continue
		}
		l.refuse(one, env, bad)
		if err := l.junk.add(one, bad); err != nil {
			return err
		}
	}
	return nil
}

// takeFromServer takes from a line what a server surely meant.
func (l *lineInput) takeFromServer(line []byte, env *Envelope) error {
	scanned := line[0] == '{' && env.Scan(line)
	if l.joining.open() {
		switch {
		case scanned || !l.joining.goesOn(line, l.limit):
			if err := l.giveUp(env); err != nil {
				return err
			}
		case l.joining.open():
			return nil
		default:
			line = l.joining.take()
		}
		scanned = env.Scan(line)
	}
	ctx := context.Background() // a push ends with the connection
	if !scanned && !json.Valid(line) {
		if l.joining.begins(line) {
			return nil
		}
		text, found := messagesIn(line, func(msg []byte) { _ = l.core.accept(ctx, msg, env) }) // they were scanned
		if found {
			l.junk.message()
			if text = bytes.TrimSpace(text); len(text) == 0 {
				return nil
			}
			return l.junk.add(text, errBeside)
		}
		if !l.junk.heard && isUTF16(line) {
			return fmt.Errorf("%w: %w", ErrGarbage, errUTF16)
		}
	}
	bad := errNoObject
	if line[0] == '{' || line[0] == '[' {
		bad = l.acceptScanned(ctx, line, env, scanned)
	}
	if bad == nil {
		l.junk.message()
		return nil
	}
	if bytes.HasPrefix(bytes.ToLower(line[:min(len(line), len(lspHeader))]), []byte(lspHeader)) {
		bad = errLSP
	}
	return l.junk.add(line, bad)
}

// giveUp ends an object over several lines that has no end: the call that it may answer fails.
func (l *lineInput) giveUp(env *Envelope) error {
	data := l.joining.take()
	if err := l.core.accept(context.Background(), data, env); err != nil {
		return l.junk.add(data, errCut)
	}
	return nil
}

// patience is how long the rest of a line, or of an object over several lines, is waited for.
func (l *lineInput) patience(unended []byte) time.Duration {
	switch {
	case len(unended) > 0:
		return lastLinePatience
	case l.joining.open():
		return joinPatience
	}
	return 0
}

// quiet takes a line without an end, if it has ended nevertheless.
func (l *lineInput) quiet(rest []byte) bool {
	var env Envelope
	if l.joining.open() {
		line := bytes.TrimSpace(rest)
		if len(line) == 0 {
			_ = l.giveUp(&env) // the limit of junk will be seen
			return false
		}
		if depth, ok := nesting(line); !ok || l.joining.depth+depth > 0 {
			return false
		}
	} else if !endsMessage(rest) {
		return false
	}
	_ = l.take(rest, &env) // a message at least is not junk
	return true
}

// tooLarge passes over a message. One that is a request is answered.
func (l *lineInput) tooLarge(large *TooLargeError) {
	if large.outline.started {
		l.junk.message()
	}
	if id := l.passOver(large); large.outline.request && id != nil || l.server && !large.outline.outcome {
		l.reply(errorReply(id, jsonrpc.CodeInvalidRequest, "the message has %d bytes, over the limit of %d",
			large.Size, large.Limit))
	}
}

// accept queues what one line of a client holds, for which [Envelope.Scan] was called. The error is
// the reason why it could not be read.
func (l *lineInput) accept(line []byte, env *Envelope, scanned bool) error {
	ctx := context.Background() // a push ends with the connection
	if !utf8.Valid(line) {
		return &jsonrpc.Error{Code: jsonrpc.CodeParseError, Message: "parse error: invalid UTF-8"}
	}
	if line[0] == '[' {
		*env = Envelope{}
		if l.full() {
			l.say(l.tooMany(nil))
			return nil
		}
		msgs, err := l.batches.parse(line)
		for _, msg := range msgs {
			if resp, ok := msg.(*jsonrpc.Response); ok && env.fill(resp) == nil {
				if out, ours := l.answer(env.Encode(), env); ours {
					msg = out
				}
			}
			if msg != nil {
				_ = l.push(ctx, msg) // fails only when the connection has ended
			}
		}
		return err
	}
	msg, err := l.receive(line, env, scanned)
	if err != nil || msg == nil {
		return err
	}
	if req, ok := msg.(*jsonrpc.Request); ok {
		if req.IsCall() && l.full() {
			l.say(ShowID(l.tooMany(env.ID)))
			return nil
		}
		l.batches.seen(req)
	}
	if errors.Is(l.push(ctx, msg), errInUse) { // else as above
		l.say(InUse([]byte(env.IDText())))
	}
	return nil
}

// refuse answers a line of a client that could not be read.
func (l *lineInput) refuse(line []byte, env *Envelope, why error) {
	// Only what may be a request is answered: two ends that both answer errors with errors would
	// never stop.
	if env.Error != nil || env.Result != nil {
		return
	}
	if env.ID != nil && env.ID[0] != '"' && plainID(env.ID) {
		if _, ok := env.id(); !ok {
			env.ID = nil // neither a number nor a string
		}
	}
	rpc, ours := why.(*jsonrpc.Error) //nolint:errorlint // the SDK's is wrapped in words of Go
	if !ours {
		rpc = notMessage(line, why)
	}
	l.reply(ShowID(errorReply(env.ID, rpc.Code, "%s", rpc.Message)))
}
