package codec

import (
	"encoding/json"
	"testing"

	"github.com/openmas/openmas/agent"
)

// A page that has no id gets one for clients that want it, and nothing else about it changes.
func TestPagesHaveAnID(t *testing.T) {
	const page = `{"url":"https://a.example","later":1.0,"mode":"url"}`
	ask := func(params, version string) (json.RawMessage, string) {
		r := agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(params)}
		raw, err := QuestionFor(r, version, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Params = raw
		if without := WithoutElicitationID(r); ElicitationID(r) != "" && string(without) != page {
			t.Errorf("without its id it is %s", without)
		}
		return raw, ElicitationID(r)
	}
	for _, version := range []string{Version20251125, VersionUnknown} {
		if raw, id := ask(page, version); len(id) < 20 {
			t.Errorf("%q: %s", version, raw)
		}
	}
	for params, version := range map[string]string{
		page: Version20260728,
		`{"message":"m","requestedSchema":{"type":"object"}}`:                         Version20251125,
		`{"url":"https://a.example","later":1.0,"mode":"url","elicitationId":"mine"}`: Version20251125,
	} {
		if raw, _ := ask(params, version); string(raw) != params {
			t.Errorf("%s became %s", params, raw)
		}
	}
}
