// Package budget bounds the bytes of payloads that wait in memory: bodies and arguments while they
// are read and served, results until their client has taken them.
package budget

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Small is how many bytes a payload costs nothing below. What bounds the number of calls bounds
// those payloads too, so a plain call touches no lock here.
const Small = 4 << 10

// A Budget is a number of bytes that payloads share, within those of its parent if it has one. It
// is safe for concurrent use. A nil Budget has no bound.
type Budget struct {
	key, where string
	limit      int64
	soft       bool
	parent     *Budget
	used       atomic.Int64 // changed with mu held

	mu     sync.Mutex
	closed bool
	handed int64 // of what is used: for the next Take
}

// New makes the budget of a process. key is what sets it, for errors.
func New(key string, limit int) *Budget {
	return &Budget{key: key, where: "in this process", limit: int64(limit)}
}

// Part is a budget within b under the same key. It admits what fits, as b does. limit is in bytes.
func (b *Budget) Part(where string, limit int) *Budget {
	if b == nil {
		return nil
	}
	return &Budget{key: b.key, where: where, limit: int64(limit), parent: b}
}

// Session is the budget of one session within b. It admits a payload of any size as long as less
// than limit bytes are in use, so that one message always fits. Close must follow.
func (b *Budget) Session(key string, limit int) *Budget {
	if b == nil {
		return nil
	}
	return &Budget{key: key, where: "on this session", limit: int64(limit), soft: true, parent: b}
}

// Acquire takes n bytes, all or none. An [*ExhaustedError] says that there are not so many left. A
// small payload costs nothing, but is refused as well while nothing is left.
func (b *Budget) Acquire(n int) error {
	switch {
	case b == nil:
		return nil
	case n < Small:
		for p := b; p != nil; p = p.parent {
			full := p.limit
			if !p.soft {
				full -= full / 32 // since what does not fit is left out, it is hardly ever used up exactly
			}
			if p.used.Load() >= full {
				return &ExhaustedError{Key: p.key, Where: p.where, Limit: p.limit}
			}
		}
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	used := b.used.Load()
	if b.soft && used >= b.limit || !b.soft && used+int64(n) > b.limit {
		return &ExhaustedError{Key: b.key, Where: b.where, Limit: b.limit}
	}
	if b.parent != nil && !b.closed {
		if err := b.parent.Acquire(n); err != nil {
			return err
		}
	}
	b.used.Store(used + int64(n))
	return nil
}

// Take takes n bytes for what is in memory already, whether they are left or not: first of those
// that were handed on.
func (b *Budget) Take(n int) {
	if b == nil || n < Small {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	own := min(b.handed, int64(n))
	b.handed -= own
	b.addLocked(int64(n) - own)
}

// Hand leaves n bytes of one Acquire to whoever takes next, in place of Release: a payload goes on
// to be sent, and others get nothing of its room in between.
func (b *Budget) Hand(n int) {
	if b == nil || n < Small {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handed += int64(n)
}

// Release gives back n bytes of one Acquire or Take.
func (b *Budget) Release(n int) {
	if b == nil || n < Small {
		return
	}
	b.add(-int64(n))
}

func (b *Budget) add(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(n)
}

func (b *Budget) addLocked(n int64) {
	b.used.Add(n)
	if b.parent != nil && !b.closed {
		b.parent.add(n)
	}
}

// Close gives all that b uses back to its parent. What is released later is not given back twice.
func (b *Budget) Close() {
	if b == nil || b.parent == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		b.parent.add(-b.used.Load())
	}
}

// Used is how many bytes are in use.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// firstRead is how much memory a body gets before anything of it has come.
const firstRead = 32 << 10

// Read reads r to its end; size is how long it says it is, negative if it does not. The memory
// grows with what has come, in few steps, and is taken from b. The caller releases held bytes, also
// with an error.
func (b *Budget) Read(r io.Reader, size int) (data []byte, held int, err error) {
	if size >= 0 && size <= firstRead {
		if err := b.Acquire(size); err != nil {
			return nil, 0, err
		}
		data = make([]byte, size)
		n, err := io.ReadFull(r, data)
		return data[:n], size, err
	}
	growth := 2
	if size >= 0 {
		growth = 8 // what was read before is garbage then: better little of it
	}
	for grown := firstRead; ; grown = growth * cap(data) {
		if size >= 0 {
			grown = min(grown, size)
		}
		grown = max(grown, held+Small)                  // what is taken is to be given back
		if err := b.Acquire(grown - held); err != nil { // both copies are there only for a moment
			return nil, held, err
		}
		held = grown
		data = append(make([]byte, 0, grown), data...)
		for len(data) < cap(data) {
			n, err := r.Read(data[len(data):cap(data)])
			data = data[:len(data)+n]
			switch {
			case err == io.EOF && size > len(data):
				return data, held, io.ErrUnexpectedEOF
			case err == io.EOF:
				return data, held, nil
			case err != nil:
				return data, held, err
			}
		}
		if size == len(data) {
			return data, held, nil
		}
	}
}

// An ExhaustedError says that payloads wait for more bytes than may be.
type ExhaustedError struct {
	Key   string // of the project file, which sets Limit
	Where string
	Limit int64 // in bytes
}

// Error names the key.
func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("payloads of %d bytes wait %s, the limit (%s)", e.Limit, e.Where, e.Key)
}
