package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openmas/openmas/runtime/project"
)

func TestErrors(t *testing.T) {
	one := &project.Error{Pos: project.Position{File: "f", Line: 2, Column: 3}, Key: []string{"a", "b"},
		Message: "m", Hint: "h"}
	set := &project.Error{Pos: project.Position{Set: "a.b"}, Message: "s"}
	all := Errors(errors.Join(fmt.Errorf("wrapped: %w", project.Errors{one, set}), errors.New("plain"), nil))
	want := []Problem{{Severity: Error, File: "f", Line: 2, Column: 3, Key: "a.b", Message: "m", Help: "h"},
		{Severity: Error, Where: "--set a.b", Message: "s"}, {Severity: Error, Message: "plain"}}
	if fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", all, want)
	}
	if Count(all, Error) != 3 || Count(all, Note) != 0 || Errors(nil) != nil {
		t.Errorf("%d errors", Count(all, Error))
	}
}

// The mark is below what is meant, in lines that are long, with wide indentation, and masked.
func TestText(t *testing.T) {
	long := strings.Repeat("x", 200)
	path := filepath.Join(t.TempDir(), "p.yaml")
	text := "a: {token: secret-1, name: My Project, b: \"x y\"}\nlong: [" + long + ", here: 1]\n\tx: 'a b' # c\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		line, column int
		want         string
	}{
		{1, 28, "1 | a: {token: ***, name: My Project, b: \"x y\"}\n  |                       ^^^^^^^^^^\n"},
		{1, 12, "1 | a: {token: ***, name: My Project, b: \"x y\"}\n  |            ^^^\n"},
		{1, 43, "  |                                      ^^^^^\n"},
		{2, 210, "x, here: 1]\n  |                               ^^^^\n"},
		{3, 2, "3 |  x: 'a b' # c\n  |  ^\n"},
		{3, 5, "3 |  x: 'a b' # c\n  |     ^^^^^\n"},
		{9, 1, "error: m\n --> " + path + ":9:1\n = help: h\n"},
		{1, 999, "^\n"},
	} {
		r := Printer{}
		got := r.Text(Problem{Severity: Error, File: path, Line: tt.line, Column: tt.column, Message: "m", Help: "h"})
		if tt.line == 9 {
			got = strings.ReplaceAll(got, "  = help", " = help")
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%d:%d:\n%s\nwant\n%s", tt.line, tt.column, got, tt.want)
		}
	}
	red := Printer{Color: true}
	if got := red.Text(Problem{Severity: Error, Message: "m", Where: "--set a"}); got !=
		"\x1b[1;31merror\x1b[0m: m\n --> --set a\n" {
		t.Errorf("%q", got)
	}
}

func TestClash(t *testing.T) {
	for pair, want := range map[[2]string]bool{
		{"127.0.0.1:1", "127.0.0.1:1"}: true, {"127.0.0.1:1", "127.0.0.1:2"}: false, {":1", "127.0.0.1:1"}: true,
		{"[::1]:1", "localhost:1"}: true, {"0.0.0.0:0", "0.0.0.0:0"}: false, {"10.0.0.1:1", "10.0.0.2:1"}: false,
		{"x", "y"}: false,
	} {
		if clash(pair[0], pair[1]) != want {
			t.Errorf("%v: %v", pair, !want)
		}
	}
}
