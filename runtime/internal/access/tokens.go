package access

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/openmas/openmas/mcp/server"
)

// Tokens know who the bearer of a token is. The zero Tokens knows none; it may be used
// concurrently. Tokens are kept as hashes, so that a look-up reveals nothing about the others.
type Tokens struct {
	mu   sync.RWMutex
	hash map[[sha256.Size]byte]server.Identity
	// strangers are slowed down; nil: nobody is.
	strangers *strangers
}

// Issue makes a token that stands for id.
func (t *Tokens) Issue(id server.Identity) string {
	token := rand.Text() + rand.Text()
	t.grant(token, id)
	return token
}

// Revoke ends what Issue began.
func (t *Tokens) Revoke(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.hash, sha256.Sum256([]byte(token)))
}

// grant makes a token that was chosen elsewhere stand for id.
func (t *Tokens) grant(token string, id server.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hash == nil {
		t.hash = map[[sha256.Size]byte]server.Identity{}
	}
	t.hash[sha256.Sum256([]byte(token))] = id
}

// Identify implements the Identify hook of package server. The scheme's name may have any case, as
// HTTP has it.
func (t *Tokens) Identify(r *http.Request) (server.Identity, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return server.Identity{}, errors.New("this listener needs a bearer token")
	}
	token = strings.TrimSpace(token)
	t.mu.RLock()
	id, ok := t.hash[sha256.Sum256([]byte(token))]
	t.mu.RUnlock()
	if !ok {
		return server.Identity{}, t.strangers.refuse(r, token)
	}
	return id, nil
}
