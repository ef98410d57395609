package difftest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	real "github.com/openmas/openmas/internal/testkit/recorded"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// FuzzOneDamagedPlaceAtAClient damages one place of what a server that people use said, and lets
// the SDK's own client ask a gateway before that server: every other item is still there, and all
// that is listed can be read.
func FuzzOneDamagedPlaceAtAClient(f *testing.F) {
	all := slices.DeleteFunc(real.All(), func(r real.Recording) bool { return len(r.Items) == 0 })
	for i := range all {
		for how := range 3 {
			f.Add(uint16(i), uint16(7*i+how), uint16(3*i+5*how), uint8(i+how*4), "")
		}
	}
	f.Add(uint16(0), uint16(0), uint16(1), uint8(0), `{"name":"echo","name":7}`)
	f.Fuzz(func(t *testing.T, which, item, place uint16, how uint8, own string) {
		r := all[int(which)%len(all)]
		damage := real.Damages[int(how)%len(real.Damages)]
		if own != "" && json.Valid([]byte(own)) && !strings.ContainsAny(own, "\r\n") {
			damage = own
		}
		damaged, n := r.Damage(int(item), int(place), damage)
		said := slices.Clone(real.Of(real.All(), r.Server, ""))
		said = slices.DeleteFunc(said, func(other real.Recording) bool {
			return other.Method == r.Method && (other.Result == r.Result || !strings.HasSuffix(r.Method, "/list"))
		})
		cs := damagedSystem(t, append(said, damaged))
		what := fmt.Sprintf("%s %s: item %d became\n%s\n", r.Server, r.Method, n, damaged.Items[n])
		if strings.HasSuffix(r.Method, "/list") {
			checkListed(t, what, cs, real.Of(said, "", ""), r, n)
			return
		}
		checkAnswer(t, what, cs, r, damaged, n)
	})
}

// only is the directory of one agent.
type only struct{ *client.Session }

func (o only) Agents() []agent.Info { return []agent.Info{o.Info()} }

func (o only) Agent(name string) (agent.Info, bool) { return o.Info(), name == "it" }

// damagedSystem is a client of the SDK before a gateway before a server that says this.
func damagedSystem(t *testing.T, said []real.Recording) *sdk.ClientSession {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	srv := httptest.NewServer(&real.Server{Recordings: said})
	t.Cleanup(srv.Close)
	s, err := client.Connect(ctx, client.Target{Name: "it", Transport: mcp.Streamable, URL: srv.URL},
		client.Options{Logger: quiet, PingInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSession(s) })
	s.Listed(ctx)
	g, err := server.NewGateway(only{s}, server.GatewayOptions{Options: server.Options{Logger: quiet}})
	if err != nil {
		t.Fatal(err)
	}
	toServer, in := io.Pipe()
	fromServer, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.ServeStdio(ctx, toServer, out) // how it ends is not looked at
		_ = out.Close()
	}()
	t.Cleanup(func() { <-done })
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "official", Version: "1"}, nil).Connect(ctx,
		&sdk.IOTransport{Reader: fromServer, Writer: in}, &sdk.ClientSessionOptions{ProtocolVersion: eraLast})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cs.Close() })
	return cs
}

// listedBy are the names, or URIs, of what the client can list.
func listedBy(t *testing.T, what string, cs *sdk.ClientSession) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	ctx := t.Context()
	failed := func(method string, err error) {
		if err != nil {
			t.Errorf("%sand the client cannot read %s: %v", what, method, err)
		}
	}
	all["tools/list"] = keysOf(cs.Tools(ctx, nil), func(i *sdk.Tool) string {
		failed("tools/list", usable(i))
		return i.Name
	}, failed)
	all["prompts/list"] = keysOf(cs.Prompts(ctx, nil), func(i *sdk.Prompt) string { return i.Name }, failed)
	all["resources/list"] = keysOf(cs.Resources(ctx, nil), func(i *sdk.Resource) string { return i.URI }, failed)
	all["resources/templates/list"] = keysOf(cs.ResourceTemplates(ctx, nil),
		func(i *sdk.ResourceTemplate) string { return i.URITemplate }, failed)
	return all
}

func keysOf[T any](items iter.Seq2[T, error], key func(T) string, failed func(string, error)) (keys []string) {
	for i, err := range items {
		if err != nil {
			failed(fmt.Sprintf("a list of %T", i), err)
			break
		}
		keys = append(keys, key(i))
	}
	return keys
}

// usable reports whether clients that check the schemas of a tool can use it.
func usable(tool *sdk.Tool) error {
	for _, s := range []any{tool.InputSchema, tool.OutputSchema} {
		if s == nil {
			continue
		}
		raw, err := json.Marshal(s)
		if err != nil {
			return err
		}
		schema := new(jsonschema.Schema)
		if err := json.Unmarshal(raw, schema); err != nil {
			return fmt.Errorf("tool %s: %w", tool.Name, err)
		}
		if schema.Type != "object" {
			return fmt.Errorf("the schema of tool %s is %s", tool.Name, raw)
		}
	}
	return nil
}

// checkListed wants every item but the damaged one of a list, and all of the other lists.
func checkListed(t *testing.T, what string, cs *sdk.ClientSession, others []real.Recording, r real.Recording,
	n int) {
	t.Helper()
	got := listedBy(t, what, cs)
	for _, list := range append(others, r) {
		if !strings.HasSuffix(list.Method, "/list") {
			continue
		}
		for i, item := range list.Items {
			if list.Method == r.Method && i == n || real.IsTask(item) {
				continue
			}
			var keys struct{ Name, URI, URITemplate string }
			if err := json.Unmarshal([]byte(item), &keys); err != nil {
				t.Fatal(err)
			}
			key := keys.URI + keys.URITemplate
			if key == "" {
				key = "it_" + keys.Name
			}
			if !slices.Contains(got[list.Method], key) {
				t.Errorf("%sand with it %s is gone, from %q", what, key, got[list.Method])
			}
		}
	}
}

// checkAnswer wants every block but the damaged one of a result.
func checkAnswer(t *testing.T, what string, cs *sdk.ClientSession, r, damaged real.Recording, n int) {
	t.Helper()
	ctx := t.Context()
	if r.Method != "tools/call" { // a prompt or a resource is one thing: it may fail, but not hang
		switch r.Method {
		case "prompts/get":
			_, _ = cs.GetPrompt(ctx, &sdk.GetPromptParams{Name: "it_" + nameIn(r.Server, "prompts/list")})
		case "resources/read":
			var item struct{ URI string }
			_ = json.Unmarshal([]byte(r.Items[0]), &item) // it was recorded
			_, _ = cs.ReadResource(ctx, &sdk.ReadResourceParams{URI: item.URI})
		}
		if err := cs.Ping(ctx, nil); err != nil {
			t.Errorf("%sand the session is lost: %v", what, err)
		}
		return
	}
	res, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "it_" + nameIn(r.Server, "tools/list")})
	if err != nil {
		if unknownBlock(damaged.Items[n]) { // which other clients know
			return
		}
		t.Errorf("%sand the client cannot read the result: %v", what, err)
		return
	}
	if len(res.Content) != len(r.Items) {
		t.Errorf("%sand of %d blocks %d are there", what, len(r.Items), len(res.Content))
		return
	}
	for i, want := range r.Items {
		got, err := json.Marshal(res.Content[i])
		if err != nil {
			t.Fatal(err)
		}
		if i != n && canon(got) != canon([]byte(want)) {
			t.Errorf("%sand block %d became\n%s\nfrom\n%s", what, i, got, want)
		}
	}
}

// nameIn is the name of the first thing that a server lists.
func nameIn(of, method string) string {
	var item struct{ Name string }
	for _, r := range real.Of(real.All(), of, method) {
		_ = json.Unmarshal([]byte(r.Items[0]), &item) // it was recorded
	}
	return item.Name
}

// unknownBlock reports whether a block has a type that is none of the protocol's.
func unknownBlock(raw string) bool {
	var block struct{ Type string }
	return json.Unmarshal([]byte(raw), &block) == nil && block.Type != "" &&
		!slices.Contains([]string{"text", "image", "audio", "resource_link", "resource"}, block.Type)
}
