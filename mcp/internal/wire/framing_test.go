package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// answersOf are the ids of the answers that a client reads from what a server prints, and what it
// logs.
func answersOf(t *testing.T, printed ...string) (ids []int64, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var said strings.Builder
		r, w := io.Pipe()
		l := NewLine(r, io.Discard, LineOptions{MaxFrame: 1000, Logger: slog.New(slog.NewTextHandler(
			writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return said.Write(p) }), nil))})
		l.SetHook(func(_ []byte, env *Envelope) bool {
			id, ok := env.AnswerID()
			if ok {
				if _, err := env.ReadAnswer(); err != nil {
					id = -id
				}
				ids = append(ids, id)
			}
			return ok
		})
		if _, err := l.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, p := range printed {
			send(t, w, p)
			time.Sleep(time.Hour) // of the bubble
			synctest.Wait()
		}
		if err := l.Err(); err != nil {
			said.WriteString("ended: " + err.Error())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		log = said.String()
	})
	return ids, log
}

type writerFunc func([]byte) (int, error)

// Write implements [io.Writer].
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func answer(id int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"a } \" {"}]}}`, id)
}

func pretty(id int) string {
	var v any
	if err := json.Unmarshal([]byte(answer(id)), &v); err != nil {
		panic(err)
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(b)
}

// What a server surely means is read, however it writes it; what is left costs itself only.
func TestFraming(t *testing.T) {
	one, two := answer(1), answer(2)
	for name, tc := range map[string]struct {
		printed []string // with a long pause after each
		want    string   // the answers; those that cannot be read are negative
		log     string   // a part of it; empty: nothing is logged
	}{
		"a message a line":           {[]string{one + "\n" + two + "\r\n"}, "1 2", ""},
		"a byte order mark":          {[]string{"\xef\xbb\xbf" + one + "\n" + two + "\n"}, "1 2", ""},
		"a mark before each":         {[]string{"\xef\xbb\xbf" + one + "\n\xef\xbb\xbf" + two + "\n"}, "1 2", ""},
		"no end of the line":         {[]string{one, two + "\n"}, "1 2", ""},
		"no end of the last line":    {[]string{one + "\n" + two}, "1 2", ""},
		"in two parts":               {[]string{one[:40], one[40:] + "\n"}, "1", ""},
		"a banner before":            {[]string{"starting... " + one + "\n" + two + "\n"}, "1 2", "line=starting... reason"},
		"a banner in brackets":       {[]string{"[INFO] " + one + "\n"}, "1", "beside a message"},
		"a banner, no end":           {[]string{"no newline log " + one, two}, "1 2", "beside a message"},
		"text after":                 {[]string{one + " done\n" + two + "\n"}, "1 2", "beside a message"},
		"terminal codes":             {[]string{"\x1b[32m" + one + "\x1b[0m\n"}, "1", "beside a message"},
		"a progress bar":             {[]string{"10%\r50%\r" + one + "\n"}, "1", "beside a message"},
		"two on a line":              {[]string{one + two + "\n"}, "1 2", ""},
		"two, and a comma":           {[]string{one + ", " + two + ",\n"}, "1 2", "beside a message"},
		"only carriage returns":      {[]string{one + "\r" + two + "\r"}, "1 2", ""},
		"over lines":                 {[]string{pretty(1) + "\n" + pretty(2) + "\n"}, "1 2", ""},
		"over lines, no end":         {[]string{pretty(1), two + "\n"}, "1 2", ""},
		"over lines in a row":        {[]string{pretty(1) + pretty(2) + "\n"}, "1 2", ""},
		"over lines, in parts":       {[]string{strings.ReplaceAll(pretty(1), "\n", "\r\n") + "\r\n" + one + "\n"}, "1 1", ""},
		"over lines, a list of them": {[]string{"[\n" + pretty(1) + ",\n" + pretty(2) + "\n]\n"}, "1 2", "count"},
		"the key first": {[]string{`{"jsonrpc": "2.0",` + "\n" + `"id": 1, "result": {` + "\n}}\n" + two + "\n"}, "1 2",
			""},
		"an object of a log": {[]string{"{\n  name: 'x'\n}\n" + one + "\n"}, "1", "skipped"},
		"a brace":            {[]string{"{\n" + one + "\n" + two + "\n"}, "1 2", "the rest did not come"},
		"a cut answer":       {[]string{`{"jsonrpc":"2.0","id":1,"result":{"content":[` + "\n", two + "\n"}, "-1 2", ""},
		"cut, and the next":  {[]string{`{"jsonrpc":"2.0","id":1,"result":{"content":[` + "\n" + two + "\n"}, "-1 2", ""},
		"cut in a string":    {[]string{`{"jsonrpc":"2.0","id":1,"result":{"content":"x` + "\n" + two + "\n"}, "-1 2", ""},
		"too much of it": {[]string{"{\n" + strings.Repeat(`"a":1,`+"\n", 200) + one + "\n"}, "1",
			"the rest did not come"},
		"as LSP does": {[]string{fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(one), one),
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(two), two)}, "1 2", "header of LSP"},
		"as LSP does, at once": {[]string{fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(one), one) +
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(two), two)}, "1 2", "header of LSP"},
		"a log of requests": {[]string{`got {"jsonrpc":"2.0","id":9,"method":"tools/call","params":{}}` + "\n" + one +
			"\n"}, "1", "skipped"},
		"JSON that is none of ours": {[]string{`{"level":"info"}` + "\n" + `{"id":1,"result":"fine","msg":"x"}` + "\n" +
			"[1]\n42\nnull\n\"x\"\n" + two + "\n"}, "2", "in_all=6"},
		"braces":           {[]string{strings.Repeat(`{"id":`, 100) + "\n" + one + "\n"}, "1", "skipped"},
		"UTF-16":           {[]string{utf16(one + "\n")}, "", "ended: what the peer sends is not JSON-RPC: it is UTF-16"},
		"UTF-16, big ends": {[]string{"\x00" + utf16(one+"\n")}, "", "ended: what the peer sends is not JSON-RPC: it is UTF-16"},
		"over the limit": {[]string{strings.Replace(one, "a }", strings.Repeat("x", 50<<10), 1) + "\n" + two + "\n"},
			"-1 2", "larger than the limit"},
		"a little over the limit": {[]string{strings.Replace(one, "a }", strings.Repeat("x", 1000), 1) + "\n" + two + "\n"},
			"-1 2", "larger than the limit"},
		"over the limit, the id last": {[]string{`{"result":{"id":7,"t":"` + strings.Repeat(`\"}`, 50<<10) +
			`"},"jsonrpc":"2.0","id":1}` + "\n" + two + "\n"}, "-1 2", "larger than the limit"},
		"over the limit, no id": {[]string{`{"jsonrpc":"2.0","result":"` + strings.Repeat("x", 50<<10) + "\"}\n" + two +
			"\n"}, "2", "nobody knows"},
		"over the limit, not JSON": {[]string{strings.Repeat("x", 50<<10) + "\n" + two + "\n"}, "2", "it begins"},
	} {
		t.Run(name, func(t *testing.T) {
			ids, log := answersOf(t, tc.printed...)
			if got := strings.Trim(fmt.Sprint(ids), "[]"); got != tc.want || !strings.Contains(log, tc.log) ||
				tc.log == "" && log != "" {
				t.Errorf("read %s, want %s; logged %s", got, tc.want, log)
			}
		})
	}
}

// utf16 is text in UTF-16, the little ends first.
func utf16(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.Write([]byte{text[i], 0})
	}
	return b.String()
}

// Junk costs itself only, however much it is: two warnings tell how much.
func TestJunk(t *testing.T) {
	for name, junk := range map[string]string{"lines": "INFO processing\n", "no JSON": "{oops}\n", "dots": ".\n"} {
		t.Run(name, func(t *testing.T) {
			ids, log := answersOf(t, answer(1)+"\n"+strings.Repeat(junk, 5<<18/len(junk))+answer(2)+"\n"+junk+answer(3)+
				"\n")
			if fmt.Sprint(ids) != "[1 2 3]" {
				t.Error(ids)
			}
			if n := strings.Count(log, "level=WARN"); n != 3 || !strings.Contains(log, fmt.Sprintf("count=%d",
				5<<18/len(junk)-1)) || !strings.Contains(log, "count=1 ") { // the last one when the connection ends
				t.Errorf("%d warnings: %s", n, log)
			}
		})
	}
	// What never was a server is found out.
	ids, log := answersOf(t, strings.Repeat(strings.Repeat("x", 999)+"\n", maxJunk/1000+1))
	if len(ids) > 0 || !strings.Contains(log, "ended: what the peer sends is not JSON-RPC: 4195 lines and no message") {
		t.Error(ids, log)
	}
}

// A request over the limit is answered, by both ends.
func TestTooLargeRequests(t *testing.T) {
	for _, server := range []bool{false, true} {
		l, in, out := bareLine(t, LineOptions{Server: server, MaxFrame: 100}, nil)
		send(t, in, `{"jsonrpc":"2.0","method":"sampling/createMessage","params":"`+strings.Repeat("x", 1000)+
			`","id":"a\u0062"}`+"\n")
		if got := readLineOf(t, out); got != `{"jsonrpc":"2.0","id":"a\u0062","error":{"code":-32600,"message":`+
			`"the message has 1078 bytes, over the limit of 100"}}`+"\n" {
			t.Error(got)
		}
		send(t, in, `{"jsonrpc":"2.0","method":"next"}`+"\n")
		if m, err := l.Read(t.Context()); err != nil || m.(*jsonrpc.Request).Method != "next" {
			t.Error(m, err)
		}
	}
}

// An outline is the same in parts of any size.
func FuzzOutline(f *testing.F) {
	for _, s := range []string{answer(1), pretty(2), `{"result":{"id":1,"a":"}\""} x,"id" : 7}`,
		`{"method":"x","id":"\""}`} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, msg []byte, size int) {
		var whole, parts outline
		whole.add(msg)
		for rest, n := msg, max(size%16, 1); len(rest) > 0; rest = rest[min(n, len(rest)):] {
			parts.add(rest[:min(n, len(rest))])
		}
		if fmt.Sprintf("%+v", whole) != fmt.Sprintf("%+v", parts) {
			t.Errorf("whole %+v\nparts %+v", whole, parts)
		}
		var env Envelope
		if !env.Scan(msg) {
			return
		}
		if id, ok := whole.answerID(); string(id) != string(env.ID) && ok && len(env.ID) < maxWord {
			t.Errorf("%s: found %s", msg, id)
		}
	})
}

// Whatever a server prints, what follows it on a line of its own is read.
func FuzzFraming(f *testing.F) {
	for _, s := range []string{"x", "{", "{\n", pretty(1), answer(1), answer(1) + answer(2), "\xef\xbb\xbf", "[{",
		"{\"a\":\n[", "Content-Length: 5\r\n\r\n{}", "\r", "{\"id\":{\"id\":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, printed string) {
		if strings.Contains(printed, "777") || strings.Contains(printed, "\\u") || isUTF16([]byte(printed)) ||
			strings.Contains(printed, "\x00") {
			return
		}
		got := make(chan struct{}, 100)
		r, w := io.Pipe()
		l := NewLine(r, io.Discard, LineOptions{Logger: quiet})
		l.SetHook(func(_ []byte, env *Envelope) bool {
			id, ok := env.AnswerID()
			if _, err := env.ReadAnswer(); ok && id == 777 && err == nil {
				got <- struct{}{}
			}
			return true
		})
		if _, err := l.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		send(t, w, printed+"\n"+answer(777)+"\n")
		receive(t, got, "the answer")
		w.Close()
		receive(t, l.Finished(), "the end")
		if err := l.Close(); err != nil || !errors.Is(l.Err(), ErrPeerClosed) {
			t.Error(err, l.Err())
		}
	})
}
