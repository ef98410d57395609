// Package requeststate is what a client of protocol 2026-07-28 carries, unread, from one request of
// a call to the next. It is signed.
package requeststate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
)

const (
	// Life is how long a state is good: users take their time.
	Life = time.Hour
	// maxSize bounds the bytes of a state.
	maxSize = 256 << 10
)

// A State is what is known of a call between two of its requests.
type State struct {
	Bound   []byte                     `json:"b"` // to what it belongs: identity, what is called, its input
	Expires int64                      `json:"x"` // seconds since 1970
	Process string                     `json:"p"` // that made it
	Round   int                        `json:"r"`
	Asked   []string                   `json:"q,omitempty"` // questions that are open
	Answers map[string]json.RawMessage `json:"a,omitempty"` // to those that are not
	// Held names the running call that waits, and Turn says which of its answers is the next.
	Held string `json:"h,omitempty"`
	Turn int    `json:"n,omitempty"`
	// Own is set when the callee itself gave a result that wants input, and gets State and the
	// answers. Else Inputs and State are those that it had when it asked.
	Own    bool                       `json:"o,omitempty"`
	Inputs map[string]json.RawMessage `json:"i,omitempty"`
	State  string                     `json:"s,omitempty"`
}

// ErrExpired comes with the state that was good until a while ago.
var ErrExpired = errors.New("it has expired: make the call anew")

// A Sealer signs states and checks them. It is safe for concurrent use.
type Sealer struct {
	process string
	keys    func() [][]byte
}

// NewSealer makes a Sealer for the states of a process. keys returns at least one, always the same:
// the first one signs, and what any of them has signed is good.
func NewSealer(process string, keys func() [][]byte) *Sealer { return &Sealer{process, keys} }

// Process is whose states it makes.
func (s *Sealer) Process() string { return s.process }

// Seal makes what the client carries.
func (s *Sealer) Seal(state State) (string, error) {
	state.Expires, state.Process = time.Now().Add(Life).Unix(), s.process
	raw, err := json.Marshal(state)
	if err != nil {
		return "", agent.Errorf(agent.CodeInternal, "encode the state of a call: %w", err)
	}
	body := base64.RawURLEncoding.EncodeToString(raw)
	if len(body) > maxSize {
		return "", agent.Errorf(agent.CodeResourceExhausted, "the answers so far have %d bytes, over the limit of %d",
			len(body), maxSize)
	}
	return body + "." + base64.RawURLEncoding.EncodeToString(sign(s.keys()[0], body)), nil
}

// Open reads a state of the call that bound names. The error says to the client what is wrong.
func (s *Sealer) Open(sealed string, bound []byte) (state State, err error) {
	body, signature, ok := strings.Cut(sealed, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if !ok || err != nil || len(body) > maxSize || !s.signed(body, mac) {
		return State{}, errors.New("it was not made by this system, or has been changed since, or the system's key has")
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	switch {
	case err != nil:
		return State{}, err
	case !hmac.Equal(state.Bound, bound):
		return State{}, errors.New("it belongs to another call")
	case time.Now().Unix() > state.Expires:
		return state, ErrExpired
	}
	return state, nil
}

func (s *Sealer) signed(body string, mac []byte) bool {
	for _, key := range s.keys() {
		if hmac.Equal(mac, sign(key, body)) {
			return true
		}
	}
	return false
}

func sign(key []byte, body string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(body)) // never fails
	return mac.Sum(nil)
}
