package difftest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// readCases reads a file of conversations. Each begins with a line "# NAME | OPTION | …"; what is
// said follows, a message a line.
func readCases(t testing.TB, file string) map[string]testCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]testCase{}
	for part := range strings.SplitSeq("\n"+strings.TrimSpace(string(text)), "\n# ") {
		head, say, ok := strings.Cut(part, "\n")
		if !ok {
			continue // before the first
		}
		options := strings.Split(head, " | ")
		c := testCase{say: say, options: map[string]int{}}
		for _, o := range options[1:] {
			name, n, _ := strings.Cut(o, " ")
			c.options[name] = 1
			if n, err := strconv.Atoi(n); err == nil {
				c.options[name] = n
			}
		}
		if _, twice := cases[options[0]]; twice {
			t.Fatalf("%s: %q twice", file, options[0])
		}
		cases[options[0]] = c
	}
	return cases
}

type testCase struct {
	say     string
	options map[string]int
}

// nested are brackets in brackets.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// answerCases are what servers say to tools/call. Options: "answer", it is an answer; "asks N", it
// holds so many requests.
func answerCases(t testing.TB) map[string]testCase {
	cases := readCases(t, "answers.txt")
	answer := func(result string) testCase {
		return testCase{`{"jsonrpc":"2.0","id":$id,"result":` + result + `}`, map[string]int{"answer": 1}}
	}
	for name, depth := range map[string]int{"deep": 300, "deeper": 600} {
		cases[name] = answer(`{"structuredContent":{"a":` + nested(depth) + `}}`)
	}
	for name, text := range map[string]string{"not UTF-8": "caf\xe9", "a raw control": "a\x01b"} {
		cases[name] = answer(`{"content":[{"type":"text","text":"` + text + `"}]}`)
	}
	return cases
}

// requestCases are what clients say. Option: "fast N", so many calls are for the fast path.
func requestCases(t testing.TB) map[string]testCase {
	cases := readCases(t, "requests.txt")
	echo := func(arguments string, fast int) testCase {
		return testCase{`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"callee_echo",` +
			`"arguments":{"a":` + arguments + `},$meta()}}`, map[string]int{"fast": fast}}
	}
	cases["deep arguments"] = echo(nested(300), 1)
	cases["deeper arguments"] = echo(nested(600), 0)
	cases["too deep arguments"] = echo(nested(1100), 0)
	cases["not UTF-8"] = echo("\"\xff\"", 0)
	return cases
}
