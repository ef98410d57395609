package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/interop/toolbox"
	"github.com/openmas/openmas/internal/testkit/recorded"
)

// damages is in how many places what real servers said is damaged.
const damages = 200

// A damagedServer is an agent: a server of which one recording is damaged in one place.
type damagedServer struct {
	agent   string
	said    []recorded.Recording
	damaged recorded.Recording
	n       int // of the item with the damage
}

func damagedServers() (all []damagedServer) {
	whole := recorded.All()
	with := slices.DeleteFunc(slices.Clone(whole), func(r recorded.Recording) bool { return len(r.Items) == 0 })
	for i := range damages {
		r := with[i*7%len(with)]
		s := damagedServer{agent: fmt.Sprintf("d%03d", i)}
		s.damaged, s.n = r.Damage(i/3, 13*i+i/7, recorded.Damages[(5*i+i/16)%len(recorded.Damages)])
		for _, other := range recorded.Of(whole, r.Server, "") {
			if other.Method == r.Method && other.Result == r.Result {
				other = s.damaged
			}
			s.said = append(s.said, other)
		}
		all = append(all, s)
	}
	return all
}

// A listing is what a client has listed.
type listing struct {
	Broken                               string
	Tools, Prompts, Resources, Templates []string
	Answers                              map[string]answer
	Closed                               bool
}

// missing are the items that are not damaged, and that a client does not see. A resource has its
// URI, or that with the agent's name where another agent has it.
func (l *listing) missing(servers []damagedServer) (gone []string, items int) {
	listed := map[string][]string{"tools/list": l.Tools, "prompts/list": l.Prompts, "resources/list": l.Resources,
		"resources/templates/list": l.Templates}
	first := map[string]bool{} // the URIs that some agent has as they are
	for _, s := range servers {
		for _, r := range s.said {
			if !strings.HasSuffix(r.Method, "/list") {
				continue
			}
			for i, item := range r.Items {
				if r.Method == s.damaged.Method && i == s.n || recorded.IsTask(item) {
					continue
				}
				items++
				var key struct{ Name, URI, URITemplate string }
				_ = json.Unmarshal([]byte(item), &key) // it is not the damaged one
				want, own := s.agent+"_"+key.Name, key.URI+key.URITemplate
				if own != "" {
					want = strings.Replace(own, "://", "://"+s.agent+"/", 1)
				}
				if slices.Contains(listed[r.Method], want) {
					continue
				}
				if own != "" && !first[own] && slices.Contains(listed[r.Method], own) {
					first[own] = true
					continue
				}
				gone = append(gone, want)
			}
		}
	}
	return gone, items
}

// serveDamaged runs a project of these servers, and returns the URL of its gateway once all that is
// not damaged is listed.
func serveDamaged(t *testing.T, servers []damagedServer) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	var project strings.Builder
	project.WriteString("project: damaged\ngateway: {listen: '127.0.0.1:0'}\nagents:\n")
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	for _, s := range servers {
		mux.Handle("/"+s.agent, &recorded.Server{Recordings: s.said})
		fmt.Fprintf(&project, "  %s: {url: %q}\n", s.agent, srv.URL+"/"+s.agent)
	}
	url = start(t, nil, openmas(t), "run", projectFile(t, project.String()), "--log-format", "text").url(t)
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "official", Version: "1"}, nil).Connect(t.Context(),
		&sdk.StreamableClientTransport{Endpoint: url + "/mcp", DisableStandaloneSSE: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	patiently(t, func() error { // lists but the tools' follow in the background
		var l listing
		for i, err := range cs.Tools(t.Context(), nil) {
			if err != nil {
				return err
			}
			l.Tools = append(l.Tools, i.Name)
		}
		for i, err := range cs.Prompts(t.Context(), nil) {
			if err != nil {
				return err
			}
			l.Prompts = append(l.Prompts, i.Name)
		}
		for i, err := range cs.Resources(t.Context(), nil) {
			if err != nil {
				return err
			}
			l.Resources = append(l.Resources, i.URI)
		}
		for i, err := range cs.ResourceTemplates(t.Context(), nil) {
			if err != nil {
				return err
			}
			l.Templates = append(l.Templates, i.URITemplate)
		}
		if gone, _ := l.missing(servers); len(gone) > 0 {
			return fmt.Errorf("the Go SDK's client does not see %q", gone)
		}
		return nil
	})
	return url
}

// damagedCalls is a call for each agent: of the damaged result, or of a tool that is left.
func damagedCalls(t *testing.T, servers []damagedServer) (list string, called map[string]damagedServer) {
	t.Helper()
	var calls [][2]any
	called = map[string]damagedServer{}
	for _, s := range servers {
		results := recorded.Of(s.said, "", "tools/call")
		n := slices.IndexFunc(results, func(r recorded.Recording) bool {
			if s.damaged.Method == "tools/call" {
				return r.Result == s.damaged.Result
			}
			return !strings.Contains(r.Result, "structuredContent") // which has to fit the tool
		})
		for i, item := range recorded.Of(s.said, "", "tools/list")[0].Items {
			if n < 0 || s.damaged.Method == "tools/list" && i == s.n || recorded.IsTask(item) {
				continue
			}
			var tool struct{ Name string }
			_ = json.Unmarshal([]byte(item), &tool) // it is not the damaged one
			name := s.agent + "_" + tool.Name
			calls = append(calls, [2]any{name, map[string]any{"n": strconv.Itoa(n)}})
			called[name] = s
			break
		}
	}
	raw, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw), called
}

// What real servers said, damaged in 200 places, costs official clients the damaged items only.
func TestOneDamagedPlace(t *testing.T) {
	needs(t, toolbox.Node, toolbox.Peers, toolbox.PythonNew, toolbox.PythonOld)
	all := damagedServers()
	url := serveDamaged(t, all)
	for _, c := range clients() {
		if c.peer != "Python ClientSession" && c.peer != "Python Client" && c.peer != "TypeScript SDK" {
			continue
		}
		old := c.version == toolbox.PythonOldVersion
		t.Run(c.peer+" "+c.version, func(t *testing.T) {
			transport := "http"
			if old {
				transport = "sse"
			}
			noted := rows.add(t, c.peer, c.version, "200 damaged servers, their client", transport)
			needs(t, c.needs...)
			size := len(all)
			if old { // it reads the first page of a list only
				size = 25
			}
			items := 0
			for servers := range slices.Chunk(all, size) {
				at := url
				if old {
					at = serveDamaged(t, servers)
				}
				calls, called := damagedCalls(t, servers)
				argv := append(c.command(t), "--transport", transport, "--calls", calls, "--", at+endpoint(transport))
				items += checkDamaged(t, start(t, nil, argv...).wait(t), servers, called)
			}
			noted.result = fmt.Sprintf("ok, all %d other items", items)
		})
	}
}

// checkDamaged looks at what a client printed, and returns how many items it had to see.
func checkDamaged(t *testing.T, out string, servers []damagedServer, called map[string]damagedServer) int {
	t.Helper()
	var l listing
	if err := json.Unmarshal([]byte(out), &l); err != nil || l.Broken != "" || !l.Closed {
		t.Fatalf("the client printed %q: %v", out, err)
	}
	gone, items := l.missing(servers)
	if len(gone) > 0 {
		t.Errorf("these are not listed: %q", gone)
	}
	for name, s := range called {
		a, ok := l.Answers[name]
		if !ok || a.Timeout || a.Refused != "" && s.damaged.Method != "tools/call" {
			t.Errorf("%s: %+v\nwhere %s was damaged: %s", name, a, s.damaged.Method, s.damaged.Items[s.n])
		}
	}
	return items
}
