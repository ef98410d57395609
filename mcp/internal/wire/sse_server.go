package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/stack"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/budget"
)

// SSEServer serves the HTTP+SSE transport of protocol 2024-11-05: GET …/sse opens a session, POST
// …/messages/?session_id= brings its messages. Mount it for the paths sse, messages and messages/
// under any prefix, without http.StripPrefix: a session accepts POSTs under the prefix of its GET
// only, and announces its endpoint there.
//
// It is safe for concurrent use. Wrap it with [Guard].
type SSEServer struct {
	o SSEServerOptions

	mu       sync.Mutex
	sessions map[string]*SSEConn
	active   int // sessions whose SDK side has not ended, their streams open or not
	draining bool
	running  sync.WaitGroup // one for each active
}

// NewSSEServer checks the options and returns a server without sessions.
func NewSSEServer(o SSEServerOptions) (*SSEServer, error) {
	if o.Connect == nil {
		return nil, errors.New("an SSE server needs a Connect function")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.MaxBody = orDefault(o.MaxBody, DefaultMaxBody)
	o.MaxFrame = orDefault(o.MaxFrame, DefaultMaxFrame)
	o.MaxQueue = orDefault(o.MaxQueue, defaultSSEQueue)
	o.MaxSessions = orDefault(o.MaxSessions, 1000)
	o.CommentInterval = orDefault(o.CommentInterval, 15*time.Second)
	o.WriteTimeout = orDefault(o.WriteTimeout, 30*time.Second)
	o.ReadTimeout = orDefault(o.ReadTimeout, 30*time.Second)
	return &SSEServer{o: o, sessions: make(map[string]*SSEConn)}, nil
}

// Stats returns the number of open sessions and of their calls in flight.
func (s *SSEServer) Stats() (sessions, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sessions {
		calls += c.InFlight()
	}
	return len(s.sessions), calls
}

// Drain refuses new sessions from now on, with 503. Those that are open go on.
func (s *SSEServer) Drain() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
}

// Shutdown refuses new sessions, ends all that are open, which cancels their calls, and waits for
// the SDK's sessions, or for ctx. Call it when no call is in flight any more, and before the
// Shutdown of the HTTP server, which would wait for the streams.
func (s *SSEServer) Shutdown(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	for _, c := range s.sessions {
		c.kill(ErrClosed)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		n, calls := s.Stats()
		return fmt.Errorf("close the SSE sessions: %d left with %d calls: %w", n, calls, context.Cause(ctx))
	}
}

// Serve serves both endpoints, told apart by the end of the path, as an http.Handler does. identity
// is a comparable value for the user of the request: a session accepts only the POSTs of the
// identity that opened it.
func (s *SSEServer) Serve(w http.ResponseWriter, r *http.Request, identity any) {
	// escaped: what goes into the endpoint event has no line breaks
	path := strings.TrimSuffix(r.URL.EscapedPath(), "/")
	if prefix, ok := strings.CutSuffix(path, mcp.SSEEndpoint); ok {
		if r.Method != http.MethodGet {
			notAllowed(w, http.MethodGet)
			return
		}
		s.open(w, r, prefix, identity)
	} else if prefix, ok := strings.CutSuffix(path, mcp.MessagesEndpoint); ok {
		if r.Method != http.MethodPost {
			notAllowed(w, http.MethodPost)
			return
		}
		s.post(w, r, prefix, identity)
	} else {
		http.NotFound(w, r)
	}
}

func notAllowed(w http.ResponseWriter, method string) {
	w.Header().Set("Allow", method)
	http.Error(w, "method not allowed, use "+method, http.StatusMethodNotAllowed)
}

// refuseJSON answers {"error": …}.
func refuseJSON(w http.ResponseWriter, status int, retryAfter time.Duration, msg string) {
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((retryAfter+time.Second-1)/time.Second)))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": msg}) // fails only if the client has left
}

// open serves a session's stream until one side ends it.
func (s *SSEServer) open(w http.ResponseWriter, r *http.Request, prefix string, identity any) {
	c, status, err := s.admit(r, prefix, identity)
	if err != nil {
		refuseJSON(w, status, 2*time.Second, err.Error())
		return
	}
	defer s.forget(c)
	session, err := s.start(c)
	if err != nil {
		c.kill(err)
		s.ended()
		s.o.Logger.Error("cannot start an SSE session", "session", c.SessionID(), "error", err)
		refuseJSON(w, http.StatusInternalServerError, 0, "cannot start a session: "+err.Error())
		return
	}
	why := c.stream(w)
	c.kill(why)
	go func() { // owned by Shutdown: a tool that ignores its context must not keep the response open
		defer s.ended()
		_ = session.Wait() // the reason is in why
	}()
	level := slog.LevelDebug
	if !errors.Is(why, ErrClosed) && !errors.Is(why, ErrPeerClosed) {
		level = slog.LevelWarn
	}
	s.o.Logger.Log(context.WithoutCancel(r.Context()), level, "SSE session ended", "session", c.SessionID(), "reason",
		why)
}

// admit adds a session, within the limits. forget and ended must follow: forget when its stream
// ends, ended when the SDK's session does, which may take longer.
func (s *SSEServer) admit(r *http.Request, prefix string, identity any) (*SSEConn, int, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, by its documentation
	c := newSSEConn(&s.o, r, hex.EncodeToString(id[:]), prefix, identity)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, http.StatusServiceUnavailable, errors.New("the server is shutting down")
	}
	if s.active >= s.o.MaxSessions {
		return nil, http.StatusServiceUnavailable, fmt.Errorf("too many sessions: %d are open, the limit; try again "+
			"later", s.active)
	}
	s.sessions[c.id] = c
	s.active++
	s.running.Add(1)
	return c, 0, nil
}

func (s *SSEServer) forget(c *SSEConn) {
	s.mu.Lock()
	delete(s.sessions, c.id)
	s.mu.Unlock()
}

func (s *SSEServer) ended() {
	s.mu.Lock()
	s.active--
	s.mu.Unlock()
	s.running.Done()
}

// start runs the owner's Connect; a panic in it is an error like any other.
func (s *SSEServer) start(c *SSEConn) (session *sdk.ServerSession, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Logger.Error("panic while starting an SSE session", "panic", p, "stack", stack.OfPanic())
			err = errors.New("internal error")
		}
	}()
	session, err = s.o.Connect(c.req.Context(), c)
	if err == nil && session == nil {
		err = errors.New("no server is available")
	}
	return session, err
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// post delivers one message to its session.
func (s *SSEServer) post(w http.ResponseWriter, r *http.Request, prefix string, identity any) {
	id, alone := strings.CutPrefix(r.URL.RawQuery, "session_id=")
	if !alone || strings.ContainsAny(id, "%&+;") {
		id = r.URL.Query().Get("session_id")
	}
	if id == "" {
		http.Error(w, "session_id is missing: POST to the endpoint that the stream of GET /sse announced",
			http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	c := s.sessions[id]
	s.mu.Unlock()
	if c == nil || c.prefix != prefix {
		http.Error(w, "no such session: it has ended or never was; GET /sse opens a new one", http.StatusNotFound)
		return
	}
	if identity != c.identity {
		http.Error(w, "the session belongs to another identity", http.StatusForbidden)
		return
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/json" {
		if mt, _, err := mime.ParseMediaType(ct); err != nil || mt != "application/json" {
			http.Error(w, "Content-Type must be application/json", http.StatusUnsupportedMediaType)
			return
		}
	}
	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 64<<10 {
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.o.ReadTimeout)) // without deadlines in w, the server's apply
	body, held, err := s.readBody(w, r, buf, c.out.memory)
	c.out.memory.Release(held) // from now on its call has it
	if err != nil {
		large, exhausted := (*http.MaxBytesError)(nil), (*budget.ExhaustedError)(nil)
		switch {
		case errors.As(err, &exhausted):
			refuseJSON(w, http.StatusServiceUnavailable, 2*time.Second, "resource_exhausted: "+err.Error())
		case errors.As(err, &large):
			http.Error(w, fmt.Sprintf("the body exceeds %d bytes, the limit", s.o.MaxBody),
				http.StatusRequestEntityTooLarge)
		default:
			http.Error(w, "cannot read the body", http.StatusBadRequest)
		}
		return
	}
	_ = rc.SetReadDeadline(time.Time{})
	if status, err := c.deliver(r, bytes.TrimSpace(body)); err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	// without a body: clients that do not read one, as the official SDK's, would need a new
	// connection for each message
	w.WriteHeader(http.StatusAccepted)
}

// readBody reads a body, a small one into buf. The caller releases held bytes of memory, also with
// an error.
func (s *SSEServer) readBody(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer, memory *budget.Budget) (
	body []byte, held int, err error) {
	switch n := r.ContentLength; {
	case n < 0 || n > int64(s.o.MaxBody):
		return memory.Read(http.MaxBytesReader(w, r.Body, int64(s.o.MaxBody)), -1)
	case n < budget.Small:
		_, err = buf.ReadFrom(r.Body)
		return buf.Bytes(), 0, err
	default:
		return memory.Read(r.Body, int(n))
	}
}
