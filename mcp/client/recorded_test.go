package client

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/recorded"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// read is what a session makes of a result: its items as they came, and the whole.
func read(t *testing.T, r recorded.Recording, off bool) (items []string, raw string) {
	t.Helper()
	o := Options{NoFastPath: off, PingInterval: -1}
	s := newRaw(map[string]string{r.Method: `{"result":` + r.Result + `}`}).stdio(t, o)
	defer func() { _ = s.Close(context.Background()) }() // so that a fuzz test does not gather them
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Hang)
	defer cancel()
	s.Listed(ctx)
	info := s.Info()
	var op agent.Op
	switch r.Method {
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
			if template := r.Method != "resources/list"; template == (i.Template != "") {
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
	page, _, err := codec.ReadPage([]byte(raw), r.Member)
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
	for _, r := range recorded.All() {
		for _, off := range []bool{false, true} {
			items, raw := read(t, r, off)
			want := slices.DeleteFunc(slices.Clone(r.Items), recorded.IsTask)
			if !slices.Equal(items, want) {
				t.Errorf("%s %s, fast path off %v:\n got %q\nwant %q", r.Server, r.Method, off, items, want)
			}
			if raw != "" && raw != r.Result {
				t.Errorf("%s %s, fast path off %v:\n got %s\nwant %s", r.Server, r.Method, off, raw, r.Result)
			}
		}
	}
}

// FuzzOneDamagedPlace damages one place of what a server that people use said. Every other item is
// still there, as it came, with the fast path and without.
func FuzzOneDamagedPlace(f *testing.F) {
	all := recorded.All()
	all = slices.DeleteFunc(all, func(r recorded.Recording) bool { return len(r.Items) == 0 })
	for i := range all {
		for how := range 4 {
			f.Add(uint16(i), uint16(7*i+how), uint16(3*i+5*how), uint8(i+how*4), "")
		}
	}
	f.Add(uint16(0), uint16(0), uint16(1), uint8(0), `{"name":"echo","name":7}`)
	f.Fuzz(func(t *testing.T, which, item, place uint16, how uint8, own string) {
		r := all[int(which)%len(all)]
		damage := recorded.Damages[int(how)%len(recorded.Damages)]
		if own != "" && json.Valid([]byte(own)) && !strings.ContainsAny(own, "\r\n") {
			damage = own
		}
		damaged, n := r.Damage(int(item), int(place), damage)
		for _, off := range []bool{false, true} {
			got, raw := read(t, damaged, off)
			if raw == "" && !strings.HasSuffix(r.Method, "/list") && r.Method != "tools/call" {
				continue // a prompt or a resource is one thing
			}
			for i, want := range r.Items {
				if i != n && !recorded.IsTask(want) && !slices.Contains(got, want) {
					t.Errorf("%s %s, fast path off %v: item %d became\n%s\nand with it item %d is gone:\n%s",
						r.Server, r.Method, off, n, damaged.Items[n], i, want)
				}
			}
		}
	})
}
