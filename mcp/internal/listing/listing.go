// Package listing has what a server lists, as JSON and page by page. What a foreign server says of
// its tools, prompts and resources is listed as it came, but for names, URIs and repairs.
package listing

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	Key  string // its name or URI
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

// A List is items in the order in which their agents list them. It does not change.
type List []*Item

// Equal reports whether clients see the same.
func (l List) Equal(other List) bool { return slices.EqualFunc(l, other, (*Item).Equal) }

// Page is the part of the list after cursor, which is empty for the first, and the cursor of the
// next part, which is empty after the last. A list that has changed meanwhile goes on behind the
// last item that the client has seen, or where that was. ok is false for a cursor that no page had.
func (l List) Page(cursor string, newest bool) (items []json.RawMessage, next string, ok bool) {
	from := 0
	if cursor != "" {
		last, err := base64.RawURLEncoding.DecodeString(cursor)
		place, key, whole := strings.Cut(string(last), " ")
		at, bad := strconv.Atoi(place)
		if err != nil || bad != nil || !whole || at < 0 {
			return nil, "", false
		}
		from = min(at, len(l))
		if i := slices.IndexFunc(l, func(i *Item) bool { return i.Key == key }); i >= 0 {
			from = i + 1
		}
	}
	size := 0
	for i, item := range l[from:] {
		raw := item.in(newest)
		if i > 0 && (size+len(raw) > pageBytes || i == pageItems) {
			at := from + i - 1
			return items, base64.RawURLEncoding.EncodeToString(fmt.Append(nil, at, " ", l[at].Key)), true
		}
		items, size = append(items, raw), size+len(raw)+1
	}
	return items, "", true
}
