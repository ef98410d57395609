package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// batches serves JSON-RPC batches, which protocol versions before 2025-06-18 allow: the calls of
// one batch are answered together, in one array, when the last of them is.
type batches struct {
	mu       sync.Mutex
	unsolved map[jsonrpc.ID]*batch
	initID   jsonrpc.ID // of the client's initialize, until it is answered
	version  string     // negotiated; the SDK reports it to its own connections only
}

type batch struct {
	open    int
	answers [][]byte
	single  bool // it is one message
}

const maxBatch = 1000 // messages

func invalidBatch(format string, args ...any) error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "invalid batch: " + fmt.Sprintf(format, args...)}
}

// seen notes the id of initialize, whose answer has the version.
func (b *batches) seen(req *jsonrpc.Request) {
	if req.Method == "initialize" {
		b.mu.Lock()
		b.initID = req.ID
		b.mu.Unlock()
	}
}

// parse reads a batch and notes its calls. One bad message refuses all of it, before any of its
// calls has begun.
func (b *batches) parse(line []byte) ([]jsonrpc.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.version >= "2025-06-18" {
		return nil, invalidBatch("protocol %s has no batches", b.version)
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(line, &raws); err != nil {
		return nil, fmt.Errorf("parse a batch: %w", err)
	}
	if len(raws) == 0 || len(raws) > maxBatch {
		return nil, invalidBatch("%d messages, 1 to %d are allowed", len(raws), maxBatch)
	}
	msgs := make([]jsonrpc.Message, len(raws))
	calls := make(map[jsonrpc.ID]*batch)
	all := new(batch)
	for i, raw := range raws {
		var env Envelope
		item := []byte(raw)
		scanned := env.Scan(item)
		if scanned {
			item = env.HideID(item, func(string) bool { return true })
		}
		msg, err := decode(item, &env, scanned)
		if err != nil {
			return nil, invalidBatch("message %d: %s", i, notMessage(item, err).Message)
		}
		if req, ok := msg.(*jsonrpc.Request); ok && req.IsCall() {
			if calls[req.ID] != nil || b.unsolved[req.ID] != nil {
				return nil, invalidBatch("id %v is used twice", req.ID.Raw())
			}
			calls[req.ID] = all
		}
		msgs[i] = msg
	}
	all.open = len(calls)
	if b.unsolved == nil {
		b.unsolved = calls
	} else {
		for id := range calls {
			b.unsolved[id] = all
		}
	}
	return msgs, nil
}

// answer returns what to send for one encoded response: the response, nothing while its batch is
// incomplete, or the whole batch. A batch over the limit is sent as single messages. Without data
// the call gets no answer.
func (b *batches) answer(resp *jsonrpc.Response, data []byte, limit int) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.initID.IsValid() && resp.ID == b.initID {
		var res struct {
			Version string `json:"protocolVersion"`
		}
		if json.Unmarshal(resp.Result, &res) == nil {
			b.version = res.Version
		}
		b.initID = jsonrpc.ID{}
	}
	all := b.unsolved[resp.ID]
	if all == nil {
		all = &batch{open: 1, single: true}
	}
	delete(b.unsolved, resp.ID)
	if data != nil {
		all.answers = append(all.answers, data)
	}
	if all.open--; all.open > 0 || len(all.answers) == 0 {
		return nil
	}
	if all.single {
		return all.answers
	}
	joined := append(append([]byte{'['}, bytes.Join(all.answers, []byte{','})...), ']')
	if len(joined) > limit {
		return all.answers
	}
	return [][]byte{joined}
}
