package child

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLineCutter(t *testing.T) {
	const most = 10
	long := strings.Repeat("x", most)
	for name, tt := range map[string]struct {
		in   []string // writes
		want []string
	}{
		"lines":                      {[]string{"a\nb\n"}, []string{"a", "b"}},
		"windows lines":              {[]string{"a\r\nb\r", "\nc\rd\n"}, []string{"a", "b", "c\rd"}},
		"empty lines":                {[]string{"\n\na\n\n"}, []string{"", "", "a", ""}},
		"no end":                     {[]string{"a\nb"}, []string{"a", "b"}},
		"in pieces":                  {[]string{"a", "b", "\n", "c"}, []string{"ab", "c"}},
		"longest":                    {[]string{long + "\n", long + "\r\n", long}, []string{long, long, long}},
		"too long":                   {[]string{long + "y\n", "z\n"}, []string{long, "z"}},
		"too long, in pieces":        {[]string{long, "y", "y", "y\nz"}, []string{long, "z"}},
		"too long, a \\r on the cut": {[]string{long + "\r", "\nz\n"}, []string{long, "z"}},
		"nothing":                    {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cut(most, tt.in...); !slices.Equal(got, tt.want) {
				t.Errorf("got %.20q, want %.20q", got, tt.want)
			}
		})
	}
}

// cut returns the complete lines of a stream that comes in these pieces.
func cut(most int, pieces ...string) (lines []string) {
	c := lineCutter{max: most, emit: func(line []byte, complete bool) {
		if complete {
			lines = append(lines, string(line))
		}
	}}
	for _, piece := range pieces {
		c.write([]byte(piece))
	}
	c.flush()
	return lines
}

func TestLineCutterShowsUnfinishedLines(t *testing.T) {
	var got []string
	c := lineCutter{max: maxLine, emit: func(line []byte, complete bool) {
		if !complete {
			got = append(got, string(line))
		}
	}}
	for _, piece := range []string{"a\nre", "ady", "\n", "x", strings.Repeat("y", maxPartial), "\n"} {
		c.write([]byte(piece))
	}
	if want := []string{"re", "ready", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// How a stream is cut into reads changes nothing.
func FuzzLineCutter(f *testing.F) {
	f.Add([]byte("a\r\nb\n\nc"), uint8(1), uint8(1))
	f.Add([]byte("123456789\r\n0\r"), uint8(3), uint8(8))
	f.Fuzz(func(t *testing.T, stream []byte, size, limit uint8) {
		most := int(limit) + 1
		var want []string
		for line := range bytes.Lines(stream) {
			ended := bytes.HasSuffix(line, []byte("\n"))
			line = bytes.TrimSuffix(line, []byte("\n"))
			if fits := len(line) <= most+1; fits {
				line = bytes.TrimSuffix(line, []byte("\r"))
			}
			if !ended && len(line) == 0 && !bytes.HasSuffix(stream, []byte("\r")) {
				continue
			}
			want = append(want, string(line[:min(len(line), most)]))
		}
		var pieces []string
		for piece := range slices.Chunk(stream, int(size)+1) {
			pieces = append(pieces, string(piece))
		}
		if got := cut(most, pieces...); !slices.Equal(got, want) {
			t.Errorf("got %.40q, want %.40q", got, want)
		}
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                          "plain",
		"  File \"x.py\"\t":              "  File \"x.py\"",
		"\x1b[31mred\x1b[0m\x07":         "[31mred[0m",
		"bad \xff utf8":                  "bad \uFFFD utf8",
		"evil \u202etxt":                 "evil txt",
		strings.Repeat("x", 600):         strings.Repeat("x", 500),
		strings.Repeat("x", 499) + "äöü": strings.Repeat("x", 499),
		"x" + strings.Repeat("€", 300):   "x" + strings.Repeat("€", 166),
	} {
		got := printable([]byte(in))
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q is not printable", got)
		}
	}
}
