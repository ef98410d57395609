package client

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// A recording is what a server that people use answered once, byte for byte.
type recording struct {
	server, method string
	result         string
	member         string // of the result: what holds its items
	items          []string
}

var itemsOf = map[string]string{"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources",
	"resources/templates/list": "resourceTemplates", "tools/call": "content", "prompts/get": "messages",
	"resources/read": "contents"}

// recordings are those of testdata/recorded.txt, a line each: the server, the method, the result.
func recordings(t testing.TB) (all []recording) {
	t.Helper()
	text, err := os.ReadFile("testdata/recorded.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimSpace(line), " ", 3)
		r := recording{server: part[0], method: part[1], result: part[2], member: itemsOf[part[1]]}
		if !rawjson.Object([]byte(r.result), func(k, v []byte) bool {
			return string(k) != r.member || rawjson.Array(v, func(item []byte) bool {
				r.items = append(r.items, string(item))
				return true
			})
		}) {
			t.Fatalf("%s %s is no result", r.server, r.method)
		}
		all = append(all, r)
	}
	return all
}

// with is the result with other items.
func (r recording) with(items []string) string {
	return strings.Replace(r.result, strings.Join(r.items, ","), strings.Join(items, ","), 1)
}

// read is what a session makes of a result: its items as they came, and the whole.
func (r recording) read(t *testing.T, result string, off bool) (items []string, raw string) {
	t.Helper()
	o := Options{NoFastPath: off, PingInterval: -1}
	s := newRaw(map[string]string{r.method: `{"result":` + result + `}`}).stdio(t, o)
	defer func() { _ = s.Close(context.Background()) }() // so that a fuzz test does not gather them
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Hang)
	defer cancel()
	s.Listed(ctx)
	info := s.Info()
	var op agent.Op
	switch r.method {
	case "tools/list":
		for _, i := range info.Tools {
			items = append(items, string(i.Raw))
		}
		return items, ""
	case "prompts/list":
		for _, i := range info.Prompts {
			items = append(items, string(i.Raw))
		}
		return items, ""
	case "resources/list", "resources/templates/list":
		for _, i := range info.Resources {
			if template := r.method != "resources/list"; template == (i.Template != "") {
				items = append(items, string(i.Raw))
			}
		}
		return items, ""
	case "tools/call":
		op = agent.OpTool
	case "prompts/get":
		op = agent.OpPrompt
	case "resources/read":
		op = agent.OpResource
	}
	res, err := s.Call(ctx, &agent.Call{ID: "c", Op: op, Agent: "raw", Name: "x://y", Attempt: 1})
	switch e := agent.AsError(err); {
	case err != nil:
		raw = string(e.Raw) // the tool failed; empty: no client could read it
	default:
		raw = string(res.Raw)
	}
	if raw == "" {
		return nil, ""
	}
	page, _, err := codec.ReadPage([]byte(raw), r.member)
	if err != nil {
		t.Errorf("%s: %v", raw, err)
	}
	for _, i := range page {
		items = append(items, string(i))
	}
	return items, raw
}

// What servers that people use say is kept byte for byte.
func TestRecordingsStayAsTheyCame(t *testing.T) {
	for _, r := range recordings(t) {
		for _, off := range []bool{false, true} {
			items, raw := r.read(t, r.result, off)
			want := slices.DeleteFunc(slices.Clone(r.items), isTask)
			if !slices.Equal(items, want) {
				t.Errorf("%s %s, fast path off %v:\n got %q\nwant %q", r.server, r.method, off, items, want)
			}
			if raw != "" && raw != r.result {
				t.Errorf("%s %s, fast path off %v:\n got %s\nwant %s", r.server, r.method, off, raw, r.result)
			}
		}
	}
}

// isTask reports whether an item is a tool that runs as a task only, which is left out.
func isTask(item string) bool { return strings.Contains(item, `"taskSupport":"required"`) }

// damages are what a value becomes.
var damages = []string{`null`, `5`, `-0`, `1e999`, `12345678901234567890`, `""`, `"x"`, `"\ud800"`, `[]`, `["x"]`,
	`[null]`,
	`{}`, `{"type":5}`, `true`, `false`, strings.Repeat("[", 600) + strings.Repeat("]", 600)}

// places are where the values in a JSON value stand, itself included: begin and end.
func places(value string, at int) (all [][2]int) {
	all = append(all, [2]int{at, at + len(value)})
	end := 1
	each := func(after string, inner []byte) bool {
		begin := end + strings.Index(value[end:], after) + len(after)
		begin += strings.Index(value[begin:], string(inner)) // nothing but a colon, commas and space are between
		end = begin + len(inner)
		all = append(all, places(string(inner), at+begin)...)
		return true
	}
	if !rawjson.Object([]byte(value), func(k, v []byte) bool { return each(`"`+string(k)+`"`, v) }) {
		rawjson.Array([]byte(value), func(v []byte) bool { return each("", v) })
	}
	return all
}

// FuzzOneDamagedPlace damages one place of what a server that people use said. Every other item is
// still there, as it came, with the fast path and without.
func FuzzOneDamagedPlace(f *testing.F) {
	all := recordings(f)
	all = slices.DeleteFunc(all, func(r recording) bool { return len(r.items) == 0 })
	for i := range all {
		for how := range 4 {
			f.Add(uint16(i), uint16(7*i+how), uint16(3*i+5*how), uint8(i+how*4), "")
		}
	}
	f.Add(uint16(0), uint16(0), uint16(1), uint8(0), `{"name":"echo","name":7}`)
	f.Fuzz(func(t *testing.T, which, item, place uint16, how uint8, own string) {
		r := all[int(which)%len(all)]
		n := int(item) % len(r.items)
		damage := damages[int(how)%len(damages)]
		if own != "" && json.Valid([]byte(own)) && !strings.ContainsAny(own, "\r\n") {
			damage = own
		}
		spots := places(r.items[n], 0)
		at := spots[int(place)%len(spots)]
		items := slices.Clone(r.items)
		items[n] = items[n][:at[0]] + damage + items[n][at[1]:]
		for _, off := range []bool{false, true} {
			got, raw := r.read(t, r.with(items), off)
			if raw == "" && !strings.HasSuffix(r.method, "/list") && r.method != "tools/call" {
				continue // a prompt or a resource is one thing
			}
			for i, want := range r.items {
				if i != n && !isTask(want) && !slices.Contains(got, want) {
					t.Errorf("%s %s, fast path off %v: item %d became\n%s\nand with it item %d is gone:\n%s",
						r.server, r.method, off, n, items[n], i, want)
				}
			}
		}
	})
}
