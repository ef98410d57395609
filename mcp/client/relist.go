package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const (
	// idleLimit is how many readings in a row that find nothing new are worth a warning.
	idleLimit = 5
	// idleReset is how long after the last reading a change is news again.
	idleReset = time.Minute
	// listsGrace is how long Connect waits for the other lists, and for a page of any, when it has
	// the first tools. What takes longer follows.
	listsGrace = time.Second
)

// refreshWaits say how long changes gather before the lists are read again: servers announce each
// of a hundred new tools. They grow with each reading that found nothing new, since some servers
// announce a change whenever their lists are read.
var refreshWaits = backoff.Policy{Initial: 50 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second}

// retryWaits are those before lists that could not be read are asked for again.
var retryWaits = backoff.Policy{Initial: 10 * time.Second, Multiplier: 2, Max: 5 * time.Minute, Jitter: 0.2}

// finishHandshake finishes the handshake: it reads the lists of what the server offers. There is no
// session without the first page of tools, if the server has tools, unless that is too large. All
// else is optional: a server that fails at it, or does not answer, is of use nevertheless. One that
// does not say that it has tools is asked for them too, since some forget to. done ends what the
// end of ctx does to the connection, and reports whether it had not ended.
func (s *Session) finishHandshake(ctx context.Context, done func() bool) error {
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
	unreadable := s.oddCapabilities.Load()
	for l := range lists {
		switch {
		case l.in(hello.Capabilities):
			s.offer.has |= l.bit()
		case !s.target.Trusted && (l == listTools || unreadable):
			s.offer.tried |= l.bit()
		}
	}
	s.offer.first = s.offer.has | s.offer.tried
	if err := s.firstTools(ctx); err != nil {
		return err
	}
	if !done() {
		return context.Cause(ctx)
	}
	levelSet := make(chan struct{})
	s.work.Go(func() {
		defer close(levelSet)
		if hello.Capabilities.Logging != nil && !s.stateless() {
			s.setLogLevel()
		}
	})
	for l := range lists {
		if l != listTools || s.offer.tried&l.bit() != 0 {
			s.readAside(l)
		}
	}
	grace := time.NewTimer(listsGrace)
	defer grace.Stop()
	for s.offer.reading != 0 || levelSet != nil {
		select {
		case r := <-s.readings:
			if s.apply(r); r.pages > 0 {
				grace.Reset(listsGrace)
			}
			continue
		case <-levelSet:
			levelSet = nil
			continue
		case <-grace.C:
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, errHandshake) {
				return err
			}
		}
		break
	}
	info := s.offer.info()
	s.setInfo(&info)
	return nil
}

// firstTools reads the list of tools, if the server has one, and waits for its first page.
func (s *Session) firstTools(ctx context.Context) error {
	if s.offer.has&listTools.bit() == 0 {
		return nil
	}
	s.readAside(listTools)
	select {
	case r := <-s.readings:
		var large *wire.TooLargeError
		if r.err != nil && !errors.As(r.err, &large) { // one that is too large costs the list
			return fmt.Errorf("%s: %w", listTools.method(), r.err)
		}
		s.apply(r)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
	switch {
	case (s.offer.has|s.offer.tried)&l.bit() == 0:
		return
	case s.offer.reading&l.bit() != 0:
		s.offer.again |= l.bit()
		return
	}
	s.offer.reading |= l.bit()
	tell := func(r reading) {
		select {
		case s.readings <- r:
		case <-s.ctx.Done():
		}
	}
	came := func(reading) {}
	if l == listTools && s.offer.first&l.bit() != 0 { // Connect waits for it
		came = tell
	}
	ctx := s.ctx
	if s.offer.has&l.bit() == 0 {
		ctx = context.WithValue(ctx, tryKey{}, true)
	}
	s.work.Go(func() { tell(s.read(ctx, l, came)) })
}

// apply takes what was read. What is left out is said once.
func (s *Session) apply(r reading) {
	o := &s.offer
	if o.pages[r.list] = r.pages; r.pages > 0 {
		r.put(o)
		return // the rest follows
	}
	o.reading &^= r.list.bit()
	o.first &^= r.list.bit()
	tried := o.tried&r.list.bit() != 0
	if r.failed() && !tried {
		o.fails[r.list]++
	} else {
		o.fails[r.list] = 0
	}
	var large *wire.TooLargeError
	switch {
	case r.err == nil:
		r.put(o)
		if tried {
			r.leftOut = append(r.leftOut, s.unannounced(r.list)...)
		}
	case tried && notThere(r.err):
	case tried:
		r.leftOut = []agent.LeftOut{{Kind: "list", Name: r.list.method(), Reason: "the server's capabilities do not " +
			"name it, and it cannot be read: " + codec.WithoutURL(r.err).Error()}}
	case errors.As(r.err, &large):
		r.leftOut = []agent.LeftOut{{Kind: "list", Name: r.list.method(), Reason: s.opts.tooLarge(large)}}
	default:
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

// notThere reports whether a server answered over HTTP that it has no such thing.
func notThere(err error) bool {
	var status *wire.HTTPError
	return errors.As(err, &status) &&
		(status.Status == http.StatusNotFound || status.Status == http.StatusNotImplemented)
}

// unannounced says what was found of a list that the server does not say it has: that it has some,
// once, or that there is nothing where its capabilities cannot be read.
func (s *Session) unannounced(l list) []agent.LeftOut {
	switch tools := len(s.offer.tools) > 0; {
	case l != listTools:
	case tools && s.odd.first(l.method()) && !s.oddCapabilities.Load():
		s.log.Warn("the server's capabilities do not name tools, and it lists some: they are served",
			"tools", len(s.offer.tools))
	case !tools && s.oddCapabilities.Load():
		return []agent.LeftOut{{Kind: "list", Name: l.method(), Reason: "the server's capabilities cannot be read, " +
			"and it lists no tools when it is asked"}}
	}
	return nil
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
	var due <-chan time.Time   // set while a refresh waits
	var last time.Time         // when the last one began
	var retry <-chan time.Time // set while lists that failed wait to be read again
	idle := 0                  // readings in a row that found nothing new
	for {
		if n := s.offer.failed(); n > 0 && retry == nil {
			retry = time.After(retryWaits.Wait(n))
		}
		if s.offer.first == 0 {
			s.listedOnce.Do(func() { close(s.listed) })
		}
		select {
		case r := <-s.readings:
			again := s.offer.first&r.list.bit() == 0
			s.apply(r)
			if s.publish() {
				idle = 0
			} else if again && !r.failed() {
				idle++
			}
			if idle == idleLimit {
				s.log.Warn("the server says again and again that its lists have changed, and they have not: it is "+
					"asked less often", "list", r.list.method())
			}
		case <-s.refresh:
			if due != nil {
				continue
			}
			if time.Since(last) > idleReset {
				idle = 0
			}
			due = time.After(refreshWaits.Wait(idle + 1))
		case <-retry:
			retry = nil
			for l := range lists {
				if s.offer.fails[l] > 0 {
					s.readAside(l)
				}
			}
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
