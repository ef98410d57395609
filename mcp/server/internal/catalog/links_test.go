package catalog

import (
	"fmt"
	"testing"
)

func TestLinksAreBounded(t *testing.T) {
	var l Links
	for i := range MaxLinks + 5 {
		l.Add(fmt.Sprintf("x://%d", i), Target{"a", fmt.Sprint(i)})
		l.Add(fmt.Sprintf("x://%d", i), Target{"a", fmt.Sprint(i)})
	}
	if _, ok := l.Find("x://4"); ok || len(l.to) != MaxLinks || len(l.order) != MaxLinks {
		t.Errorf("%d %d", len(l.to), len(l.order))
	}
	if to, ok := l.Find("x://5"); !ok || to.Name != "5" {
		t.Error(to)
	}
}
