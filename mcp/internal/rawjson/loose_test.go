package rawjson

import (
	"slices"
	"strings"
	"testing"
)

// FuzzLoose: of JSON, Parts are what Object and Array find.
func FuzzLoose(f *testing.F) {
	for _, s := range []string{`{"a": 1 , "b":[{}, "]\""]}`, ` [ ] `, `[1,{"a":","}]`, `{"a":NaN,}`, `{"a`, `["`, `[}`,
		`{"a":1}x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, ok := Parts(b)
		Depth(b)
		var got, want []string
		for _, p := range parts {
			if key, value := Member(p); key != nil && b[0] == '{' {
				got = append(got, string(key[1:len(key)-1]), string(value))
			}
		}
		if Object(b, func(k, v []byte) bool { want = append(want, string(k), string(v)); return true }) &&
			b[0] == '{' && (!ok || !slices.Equal(got, want)) {
			t.Errorf("%s: %q, want %q", b, got, want)
		}
		got, want = nil, nil
		for _, p := range parts {
			got = append(got, string(p))
		}
		if Array(b, func(v []byte) bool { want = append(want, string(v)); return true }) && (!ok || !slices.Equal(got,
			want)) {
			t.Errorf("%s: %q, want %q", b, got, want)
		}
	})
}

func TestDepth(t *testing.T) {
	for s, want := range map[string]int{``: 0, `1`: 0, `{}`: 1, `[{"[[[":[1]},[]]`: 3, `["`: 1,
		strings.Repeat("[", 5000): 5000} {
		if got := Depth([]byte(s)); got != want {
			t.Errorf("%.20s: %d, want %d", s, got, want)
		}
	}
}
