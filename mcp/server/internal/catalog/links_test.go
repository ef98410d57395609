package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

// What clients are given is bounded in number and in bytes; the oldest goes first.
func TestLinksAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		links, size int
		most        int
	}{"number": {3000, 10, maxLinks}, "bytes": {100, 8 << 10, maxLinkBytes / (16<<10 + 3)}} {
		var l Links
		for i := range c.links {
			link := fmt.Sprintf("%03d", i) + strings.Repeat("x", c.size)
			l.Add(link, Target{"a", link[3:]})
			l.Add(link, Target{"b", link[3:]}) // in its place
			if _, ok := l.Find(link); !ok {
				t.Fatalf("%s: %d is not there", name, i)
			}
		}
		size := 0
		for link, to := range l.to {
			size += len(link) + len(to.Name)
		}
		if len(l.to) != len(l.order) || len(l.to) < c.most-2 || len(l.to) > maxLinks || size != l.size ||
			size > maxLinkBytes {
			t.Errorf("%s: %d links of %d bytes, counted as %d", name, len(l.to), size, l.size)
		}
	}
	var l Links
	l.Add("kept", Target{"a", "kept"})
	l.Add(strings.Repeat("x", maxLinkBytes), Target{"a", "long"})
	if _, ok := l.Find("kept"); !ok || len(l.to) != 1 {
		t.Error("one link that is too long drives out the others")
	}
}

// Clients that do not know each other cannot lead each other to another agent.
func TestSharedLinks(t *testing.T) {
	one, other := Target{"one", "u"}, Target{"other", "u"}
	for _, shared := range []bool{false, true} {
		l := Links{Shared: shared}
		l.Add("u", one)
		l.Add("u", one)
		if to, ok := l.Find("u"); !ok || to != one {
			t.Errorf("%v %v", to, ok)
		}
		for range 2 {
			l.Add("u", other)
			if to, ok := l.Find("u"); ok == shared || !shared && to != other {
				t.Errorf("shared %v: %v %v", shared, to, ok)
			}
		}
	}
}

func TestLinksOfUsers(t *testing.T) {
	var u UserLinks
	first, last := u.Of("ann"), u.Of("bob")
	if u.Of("ann") != first || first == last || first.Shared || !u.Of(agent.Anonymous).Shared {
		t.Error("not the links of the user")
	}
	for i := range maxUsers - 2 {
		u.Of(fmt.Sprint(i))
	}
	if u.Of("bob") != last || u.Of("ann") == first || len(u.of) != maxUsers || len(u.order) != maxUsers {
		t.Errorf("%d users", len(u.of))
	}
}
