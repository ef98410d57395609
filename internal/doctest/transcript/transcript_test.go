package transcript

import "testing"

func TestMatches(t *testing.T) {
	tests := map[string]struct {
		want []string
		got  string
		ok   bool
	}{
		"the same":     {[]string{"a  b", "", "c"}, "a b\nc\n", true},
		"another line": {[]string{"a"}, "a\nb\n", false},
		"any text":     {[]string{"a ... c"}, "a b c\n", true},
		"any lines":    {[]string{"a", "...", "d"}, "a\nb\nc\nd\n", true},
		"no lines":     {[]string{"a", "...", "d"}, "a\nd\n", true},
		"no pattern":   {[]string{"a.c"}, "abc\n", false},
		"a build of make": {[]string{"a"}, "make: building x\nbuilding: 3 packages compiled of at most 9, " +
			"x\ncompiled 9 packages in 2s\na\n",
			true},
		"a build of ours": {[]string{"a"}, "openmas: building x\nopenmas: built x in 2s\na\n", true},
		"a slow start": {[]string{"a"}, "12:00:05.000 WARN  the start waits for=\"greeter/0: it did not answer " +
			"initialize yet (for 5s, at most 1m0s: start.timeout)\" start.wait=30s\na\n", true},
		"a slow reload":     {[]string{"a"}, "openmas: waiting for far/0: (for 5s)\na\n", true},
		"another's wait":    {[]string{"a"}, "waiting for Godot\na\n", false},
		"another's compile": {[]string{"a"}, "compiled castles\na\n", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Matches(tt.want, tt.got); got != tt.ok {
				t.Errorf("%v", got)
			}
		})
	}
}
