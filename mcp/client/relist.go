package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/internal/codec"
)

const (
	// restless is how many readings in a row that find nothing new are worth a warning.
	restless = 5
	// calm is how long after the last reading a change is news again.
	calm = time.Minute
	// listsGrace is how long Connect waits for the other lists when it has that of the tools. What
	// takes longer follows.
	listsGrace = time.Second
)

// refreshWaits say how long changes gather before the lists are read again: servers announce each
// of a hundred new tools. They grow with each reading that found nothing new, since some servers
// announce a change whenever their lists are read.
var refreshWaits = backoff.Policy{Initial: 50 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second}

// finishHandshake finishes the handshake: it reads the lists of what the server offers. There is no
// session without the list of tools, if the server has tools. All others are optional: a server
// that fails at one, or does not answer, is of use nevertheless.
func (s *Session) finishHandshake(ctx context.Context) error {
	hello := s.sdk.InitializeResult()
	if hello.Capabilities == nil {
		hello.Capabilities = &sdk.ServerCapabilities{}
	}
	s.offer.base = agent.Info{Name: s.target.Name, Description: hello.Instructions}
	if s.target.Trusted {
		codec.FromExperimental(hello.Capabilities, &s.offer.base, s.target.Trusted)
	}
	if hello.ServerInfo != nil {
		s.offer.base.Version = hello.ServerInfo.Version
	}
	if listTools.in(hello.Capabilities) {
		tools := s.read(ctx, listTools)
		if tools.err != nil {
			return fmt.Errorf("%s: %w", listTools.method(), tools.err)
		}
		s.apply(tools)
	}
	levelSet := make(chan struct{})
	s.work.Go(func() {
		defer close(levelSet)
		if hello.Capabilities.Logging != nil && !s.stateless() {
			s.setLogLevel()
		}
	})
	for l := listPrompts; l < lists; l++ {
		s.readAside(l)
	}
	s.offer.first = s.offer.reading
	grace := time.NewTimer(listsGrace)
	defer grace.Stop()
	for s.offer.reading != 0 || levelSet != nil {
		select {
		case r := <-s.readings:
			s.apply(r)
			continue
		case <-levelSet:
			levelSet = nil
			continue
		case <-grace.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		break
	}
	info := s.offer.info()
	s.setInfo(&info)
	return nil
}

// setLogLevel asks the server for log messages.
func (s *Session) setLogLevel() {
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.HandshakeTimeout)
	defer cancel()
	_, err := s.askFor(ctx, nil, func(ctx context.Context) error {
		return s.sdk.SetLoggingLevel(ctx, &sdk.SetLoggingLevelParams{Level: s.logLevel()})
	})
	var rpc *jsonrpc.Error
	switch {
	case err == nil || s.ctx.Err() != nil:
	case errors.As(err, &rpc) && rpc.Code == jsonrpc.CodeMethodNotFound:
		s.log.Debug("the server takes no log level", "error", err)
	default:
		s.log.Warn("the server takes no log level, and may log too much or nothing", "error", codec.WithoutURL(err))
	}
}

// readAside reads a list in the background, if the server has it. One that is being read is read
// again after that.
func (s *Session) readAside(l list) {
	switch has := s.sdk.InitializeResult().Capabilities; {
	case !l.in(has):
		return
	case s.offer.reading&l.bit() != 0:
		s.offer.again |= l.bit()
		return
	}
	s.offer.reading |= l.bit()
	s.work.Go(func() {
		ctx, cancel := context.WithTimeoutCause(s.ctx, s.opts.HandshakeTimeout, errHandshake)
		defer cancel()
		r := s.read(ctx, l)
		if errors.Is(context.Cause(ctx), errHandshake) && r.err != nil {
			r.err = fmt.Errorf("no answer within %v%s", s.opts.HandshakeTimeout,
				inBrackets(s.opts.TimeoutKey))
		}
		s.readings <- r // has room for one of each list
	})
}

// apply takes what was read. What is left out is said once.
func (s *Session) apply(r reading) {
	o := &s.offer
	o.reading &^= r.list.bit()
	o.first &^= r.list.bit()
	if r.err == nil {
		r.put(o)
	} else {
		r.leftOut = []agent.LeftOut{{Kind: "list", Name: r.list.method(), Reason: codec.WithoutURL(r.err).Error()}}
	}
	if s.ctx.Err() == nil {
		for _, l := range r.leftOut {
			if !slices.Contains(o.leftOut[r.list], l) {
				s.log.Warn("left out of what the server offers", "kind", l.Kind, "name", l.Name, "reason", l.Reason)
			}
		}
	}
	o.leftOut[r.list] = r.leftOut
	if o.again&r.list.bit() != 0 {
		o.again &^= r.list.bit()
		s.readAside(r.list)
	}
}

// listChanged notes that lists have to be read again.
func (s *Session) listChanged(which ...list) {
	for _, l := range which {
		s.stale.Or(l.bit())
	}
	select {
	case s.refresh <- struct{}{}:
	default: // it is about to happen
	}
}

// relist reads changed lists again, until the session ends.
func (s *Session) relist() {
	var due <-chan time.Time // set while a refresh waits
	var last time.Time       // when the last one began
	idle := 0                // readings in a row that found nothing new
	for {
		if s.offer.first == 0 {
			s.listedOnce.Do(func() { close(s.listed) })
		}
		select {
		case r := <-s.readings:
			again := s.offer.first&r.list.bit() == 0
			s.apply(r)
			if s.publish() {
				idle = 0
			} else if again {
				idle++
			}
			if idle == restless {
				s.log.Warn("the server says again and again that its lists have changed, and they have not: it is "+
					"asked less often", "list", r.list.method())
			}
		case <-s.refresh:
			if due != nil {
				continue
			}
			if time.Since(last) > calm {
				idle = 0
			}
			due = time.After(refreshWaits.Wait(idle + 1))
		case <-due:
			due, last = nil, time.Now()
			for uri := range s.updates.take() {
				s.opts.OnUpdated(uri)
			}
			stale := s.stale.Swap(0)
			for l := range lists {
				if stale&l.bit() != 0 {
					s.readAside(l)
				}
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// publish makes what the server offers now known, and reports whether that is news.
func (s *Session) publish() bool {
	old, info := s.Info(), s.offer.info()
	if reflect.DeepEqual(old, info) {
		return false
	}
	s.setInfo(&info)
	if s.opts.OnChanged != nil {
		s.opts.OnChanged(info)
	}
	return true
}

// Listed waits until each of the server's lists was read once, or could not be: see [Session.Info].
func (s *Session) Listed(ctx context.Context) {
	select {
	case <-s.listed:
	case <-s.done:
	case <-ctx.Done():
	}
}

// setInfo notes what the server offers.
func (s *Session) setInfo(info *agent.Info) {
	heads := map[string]bool{}
	for _, t := range info.Tools {
		if codec.WantsHeaders(t.InputSchema) {
			heads[t.Name] = true
		}
	}
	s.headerTools.Store(&heads)
	s.info.Store(info)
}

// Subscribe asks the server to tell of changes of a resource: see [Options.OnUpdated].
// unimplemented: it does not do that.
func (s *Session) Subscribe(ctx context.Context, uri string) error {
	if caps := s.sdk.InitializeResult().Capabilities; caps == nil || caps.Resources == nil ||
		!caps.Resources.Subscribe {
		return agent.Refusedf(agent.CodeUnimplemented, "%s tells nobody of changed resources", &s.target)
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.HandshakeTimeout)
	defer cancel()
	if err := s.sdk.Subscribe(ctx, &sdk.SubscribeParams{URI: uri}); err != nil {
		if e, ok := codec.FromRPCError(err, s.target.Trusted); ok {
			return e
		}
		return agent.Errorf(agent.CodeUnavailable, "subscribe to %s of %s: %w", uri, &s.target, codec.WithoutURL(err))
	}
	return nil
}

// onUpdated notes that a resource has changed; keepLists tells.
func (s *Session) onUpdated(params json.RawMessage) {
	var p agent.ResourceUpdate
	if s.opts.OnUpdated == nil || json.Unmarshal(params, &p) != nil {
		return
	}
	s.noteUpdate(p.URI)
}

func (s *Session) noteUpdate(uri string) {
	s.updates.mu.Lock()
	if s.updates.uris == nil {
		s.updates.uris = map[string]bool{}
	}
	if len(s.updates.uris) < maxUpdates {
		s.updates.uris[uri] = true
	}
	s.updates.mu.Unlock()
	s.listChanged()
}
