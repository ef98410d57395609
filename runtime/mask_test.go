package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

const sesame = "sesame-open-the-gate"

// leaky is an agent that prints a secret wherever it can.
type leaky struct{}

func (leaky) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("fail", "", func(ctx context.Context, _ note) (string, error) {
			env, _ := agent.EnvFrom(ctx)
			err := fmt.Errorf("refused: %s", sesame)
			env.Logger.With("with", sesame).WithGroup("g").WarnContext(ctx, "said "+sesame, "text", sesame, "error",
				err, "list", []string{sesame}, "bytes", []byte(sesame),
				slog.Group("in", "deep", sesame), "value", slog.AnyValue(struct{ S string }{sesame}), "pointer",
				&struct{ S string }{sesame}, "fine", 7)
			return "", err
		}),
		agent.NewTool("details", "", func(context.Context, note) (string, error) {
			err := agent.Errorf(agent.CodeUnavailable, "%w: %s", errCause, sesame)
			err.Details = []byte(`{"token":"` + sesame + `"}`)
			return "", err
		}),
		agent.NewTool("raw", "", func(context.Context, note) (string, error) { // as of a foreign server
			err := agent.Errorf(agent.CodeToolFailed, "see the picture")
			err.Raw = []byte(`{"isError":true,"content":[{"type":"text","text":"` + sesame + `"},` +
				`{"type":"image","data":"","mimeType":"image/png"}]}`)
			return "", err
		}),
	}}
}

var errCause = errors.New("the cause")

func (leaky) Health(context.Context) error { return errors.New("ill of " + sesame) }

// The project's secrets do not get to clients, nor to the logger of a program that embeds the
// system, however the config was made.
func TestSecretsStayInside(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	far := newElsewhere(t, httptest.NewServer)
	far.mcp = sdk.NewServer(&sdk.Implementation{Name: "far", Version: "1"}, &sdk.ServerOptions{
		SubscribeHandler: func(context.Context, *sdk.SubscribeRequest) error {
			return errors.New("not with " + sesame)
		},
		UnsubscribeHandler: func(context.Context, *sdk.UnsubscribeRequest) error { return nil },
	})
	far.mcp.AddResource(&sdk.Resource{URI: "far://x", Name: "x"}, nil)
	for _, inJSON := range []bool{false, true} {
		t.Run(fmt.Sprintf("JSON %v", inJSON), func(t *testing.T) {
			cfg := &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
				Ops: &project.Ops{Listen: "127.0.0.1:0"},
				Agents: map[string]project.Agent{
					"leaky": {Type: "leaky"}, "docs": {URL: down.URL + "/" + sesame, Token: sesame},
					"far": {URL: far.URL}}}
			log := &testkit.Buffer{}
			s := start(t, cfg, agent.Types{"leaky": func() agent.Agent { return leaky{} }}, func(o *runtime.Options) {
				opts := &slog.HandlerOptions{Level: slog.LevelDebug}
				if o.Logger = slog.New(slog.NewTextHandler(log, opts)); inJSON {
					o.Logger = slog.New(slog.NewJSONHandler(log, opts))
				}
			})
			session := connect(t, s.Status().URL+"/mcp")
			for tool, want := range map[string]string{"leaky_fail": "refused: ***", "leaky_details": "the cause: ***",
				"leaky_raw": `{"type":"text","text":"***"}`, "openmas_status": "leaky", "openmas_list": "leaky"} {
				res, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: map[string]any{}})
				if err != nil {
					t.Errorf("%s: %v", tool, err)
					continue
				}
				said, err := res.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range res.Content {
					b, err := c.MarshalJSON()
					if err != nil {
						t.Fatal(err)
					}
					said = append(said, b...)
				}
				hidden(t, tool, string(said), want)
			}
			if err := session.Subscribe(t.Context(), &sdk.SubscribeParams{URI: "far://x"}); err == nil {
				t.Error("a refused subscription was accepted")
			} else {
				hidden(t, "a subscription", err.Error(), "not with ***")
			}
			hidden(t, "/readyz", body(t, s.Status().URL+"/readyz"), "leaky is not healthy")
			hidden(t, "/readyz for operators", body(t, s.Status().Ops+"/readyz"), "ill of ***")
			status, err := json.Marshal(s.Status())
			if err != nil {
				t.Fatal(err)
			}
			hidden(t, "the status for operators", string(status), "ill of ***")
			hidden(t, "/", body(t, s.Status().URL+"/"), "")
			_, err = agent.Ask[string](s.ctx, "docs.search", nil)
			hidden(t, "docs.search", err.Error(), "/***")
			_, err = agent.Ask[string](s.ctx, "leaky.details", nil)
			if e := agent.AsError(err); !errors.Is(err, errCause) || e.Code != agent.CodeUnavailable ||
				string(e.Details) != `{"token":"***"}` {
				t.Errorf("what is masked has lost its cause or code: %#v", err)
			}
			hidden(t, "the log", log.String(), "said ***")
			if got := log.String(); !strings.Contains(got, "fine=7") && !strings.Contains(got, `"fine":7`) {
				t.Errorf("what is no secret has gone:\n%s", got)
			}
		})
	}
}

// breaks is an agent that prints a secret as it breaks.
type breaks struct{ at string }

func (b *breaks) fail(at string) error {
	if b.at == at {
		return fmt.Errorf("%w: %s", errCause, sesame)
	}
	return nil
}

func (b *breaks) Capabilities() agent.Capabilities {
	if b.at == "Capabilities" {
		panic(sesame)
	}
	return agent.Capabilities{}
}
func (b *breaks) Start(context.Context, agent.Env) error { return b.fail("Start") }
func (b *breaks) Close(context.Context) error            { return b.fail("Close") }

// Nor do they get into the errors that the program itself is given, which keep their causes.
func TestErrorsOfTheRuntimeKeepSecrets(t *testing.T) {
	for _, at := range []string{"Capabilities", "Start", "Close"} {
		t.Run(at, func(t *testing.T) {
			cfg := &project.Config{Dir: t.TempDir(), Gateway: &project.Gateway{Listen: "127.0.0.1:0", Token: sesame},
				Agents: map[string]project.Agent{"breaks": {Type: "breaks"}}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, err := runtime.New(cfg, agent.Types{"breaks": func() agent.Agent { return &breaks{at} }},
				runtime.Options{Output: io.Discard, OnReady: func(runtime.Status) { cancel() }})
			if err == nil {
				if err = r.Run(ctx); !errors.Is(err, errCause) {
					t.Errorf("the cause is lost: %v", err)
				}
			}
			if err == nil {
				t.Fatal("no error")
			}
			hidden(t, at, err.Error(), "***")
		})
	}
}

// A secret may look like a number, and the details of an error may hold that as one. They stay
// JSON, or the whole error would be lost on its way.
func TestMaskedDetailsStayJSON(t *testing.T) {
	const pin = "2718281828459045"
	cfg := &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0", Token: pin},
		Agents: map[string]project.Agent{"counter": {Type: "counter"}}}
	s := start(t, cfg, agent.Types{"counter": func() agent.Agent { return counter{} }})
	_, err := agent.Ask[string](s.ctx, "counter.count", nil)
	e := agent.AsError(err)
	if e.Code != agent.CodeUnavailable || !json.Valid(e.Details) || strings.Contains(string(e.Details), pin) {
		t.Errorf("%v with details %s", e, e.Details)
	}
}

type counter struct{}

func (counter) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("count", "",
		func(context.Context, note) (string, error) {
			err := agent.Errorf(agent.CodeUnavailable, "later")
			err.Details = []byte(`{"at":2718281828459045018,"text":"2718281828459045 \\"}`)
			return "", err
		})}}
}

func hidden(t *testing.T, where, text, want string) {
	t.Helper()
	// plain, base64
	if strings.Contains(text, sesame) || strings.Contains(text, "c2VzYW1lLW9wZW4") || !strings.Contains(text, want) {
		t.Errorf("%s: want %q and no secret in:\n%s", where, want, text)
	}
}

func body(t *testing.T, url string) string {
	t.Helper()
	resp, err := httpClient(t).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
