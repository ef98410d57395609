// Package listing has what a server lists, as JSON and page by page. What a foreign server says of
// its tools, prompts and resources is listed as it came, but for names, URIs and repairs.
package listing

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
)

const (
	// pageItems is large: some clients read the first page of a list only.
	pageItems = 1000
	// pageBytes bounds a page, which some clients take in one message only up to some size. An item
	// that is larger is a page of its own.
	pageBytes = 256 << 10
)

// An Item is one of a list. It does not change.
type Item struct {
	Key  string // by which the list is ordered: its name or URI
	JSON json.RawMessage
	// Newest is what clients of protocol 2026-07-28 get; nil: the same.
	Newest json.RawMessage
	// InputSchema is that of a tool, as it is listed.
	InputSchema json.RawMessage
}

func (i *Item) in(newest bool) json.RawMessage {
	if newest && i.Newest != nil {
		return i.Newest
	}
	return i.JSON
}

// Equal reports whether clients see the same.
func (i *Item) Equal(other *Item) bool {
	return i.Key == other.Key && string(i.JSON) == string(other.JSON) && string(i.Newest) == string(other.Newest)
}

// A List is items in the order of their keys. It does not change.
type List []*Item

// NewList is items as a list.
func NewList(items []*Item) List {
	return slices.SortedFunc(slices.Values(items), func(a, b *Item) int { return cmp.Compare(a.Key, b.Key) })
}

// Equal reports whether clients see the same.
func (l List) Equal(other List) bool { return slices.EqualFunc(l, other, (*Item).Equal) }

// Page is the part of the list after cursor, which is empty for the first, and the cursor of the
// next part, which is empty after the last. A list that has changed meanwhile goes on behind the
// last item that the client has seen. ok is false for a cursor that no page had.
func (l List) Page(cursor string, newest bool) (items []json.RawMessage, next string, ok bool) {
	from := 0
	if cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			return nil, "", false
		}
		i, found := slices.BinarySearchFunc(l, string(after), func(i *Item, key string) int {
			return cmp.Compare(i.Key, key)
		})
		if from = i; found {
			from++
		}
	}
	size := 0
	for i, item := range l[from:] {
		raw := item.in(newest)
		if i > 0 && (size+len(raw) > pageBytes || i == pageItems) {
			return items, base64.RawURLEncoding.EncodeToString([]byte(l[from+i-1].Key)), true
		}
		items, size = append(items, raw), size+len(raw)+1
	}
	return items, "", true
}
