package agent_test

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

type city struct {
	Name string `json:"name" jsonschema:"the city's name"`
	Days int    `json:"days,omitempty"`
}

func TestDecode(t *testing.T) {
	structured := func(s string, c ...agent.Content) agent.Result {
		return agent.Result{Structured: json.RawMessage(s), Content: c}
	}
	content := func(c ...agent.Content) agent.Result { return agent.Result{Content: c} }
	text, image := agent.Text, agent.Image([]byte{1}, "image/png")
	for _, tt := range []struct {
		name string
		in   agent.Result
		out  any // a pointer to what is wanted
		err  string
	}{
		{"an object", structured(`{"name":"Bern"}`), &city{Name: "Bern"}, ""},
		{"an object over text", structured(`{"name":"Bern"}`, text("no")), &city{Name: "Bern"}, ""},
		{"text that is JSON", content(text(`{"name":"Bern"}`)), &city{Name: "Bern"}, ""},
		{"text that is JSON, beside an image", content(image, text(`{"name":"Bern"}`)), &city{Name: "Bern"}, ""},
		{"null into a pointer", structured(`null`), new(*city), ""},
		{"a list", structured(`[1,2]`), &[]int{1, 2}, ""},
		{"a number", structured(`7`), ptr(7), ""},
		{"a number from text", content(text("7")), ptr(7), ""},
		{"a string", structured(`"a"`), ptr("a"), ""},
		{"a string over text", structured(`"a"`, text("b")), ptr("a"), ""},
		{"a string from text", content(text("a")), ptr("a"), ""},
		{"a string from text that is JSON", content(text(`"a"`)), ptr(`"a"`), ""},
		{"a string from several texts", content(text("a"), image, text("b")), ptr("a\nb"), ""},
		{"a string from text beside an object", structured(`{"result":"a"}`, text("a")), ptr("a"), ""},
		{"a string from an object", structured(`{"result":"a"}`), ptr(""), "does not decode"},
		{"any", structured(`{"a":[null]}`), ptr[any](map[string]any{"a": []any{nil}}), ""},
		{"any from text", content(text("sunny, 7 C")), ptr[any]("sunny, 7 C"), ""},
		{"any from text that is JSON", content(text(`{"a":7}`)), ptr[any](map[string]any{"a": 7.0}), ""},
		{"any from no JSON", structured(`{`), new(any), "does not decode"},
		{"raw", structured(`[1]`), ptr(json.RawMessage(`[1]`)), ""},
		{"raw from text", content(text(`[1]`)), ptr(json.RawMessage(`[1]`)), ""},
		{"the result", content(image), ptr(content(image)), ""},
		{"the result's pointer", content(image), ptr(&agent.Result{Content: []agent.Content{image}}), ""},
		{"blocks", content(image, text("a")), &[]agent.Content{image, text("a")}, ""},
		{"a block", content(image), &image, ""},
		{"a block of two", content(image, image), &agent.Content{}, "2 content blocks"},
		{"nothing", agent.Result{}, &city{}, ""},
		{"nothing into a string", agent.Result{}, ptr(""), ""},
		{"no text", content(image), &city{}, "0 text blocks among 1"},
		{"two texts", content(text("{}"), text("{}")), &city{}, "2 text blocks among 2"},
		{"plain text into a struct", content(text("sunny")), &city{}, "does not decode into *agent_test.city"},
		{"another type", structured(`{"name":7}`), &city{}, "does not decode into *agent_test.city"},
		{"no JSON", structured(`{`), &city{}, "does not decode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := reflect.New(reflect.TypeOf(tt.out).Elem())
			err := tt.in.Decode(got.Interface())
			switch {
			case tt.err != "":
				wantCode(t, err, agent.CodeInternal, false)
				if err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("the error is %v, want %s", err, tt.err)
				}
			case err != nil || !reflect.DeepEqual(got.Interface(), tt.out):
				t.Errorf("decoded %#v, %v, want %#v", got.Elem().Interface(), err,
					reflect.ValueOf(tt.out).Elem().Interface())
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// What a handler returns, and what Ask makes of it again.
func TestResultsOfEveryType(t *testing.T) {
	blocks := []agent.Content{agent.Image([]byte{1}, "image/png"), agent.Text("x")}
	roundTrip(t, "text", "text", "text")
	roundTrip(t, `{"a":1}`, `{"a":1}`, `{"a":1}`)
	roundTrip(t, city{Name: "Bern"}, `{"name":"Bern"}`, city{Name: "Bern"})
	roundTrip(t, &city{Name: "Bern"}, `{"name":"Bern"}`, city{Name: "Bern"})
	roundTrip(t, (*city)(nil), `null`, (*city)(nil))
	roundTrip(t, []string{"a"}, `["a"]`, []string{"a"})
	roundTrip(t, 7, `7`, 7)
	roundTrip(t, true, `true`, true)
	roundTrip[any](t, nil, `null`, any(nil))
	roundTrip(t, json.RawMessage(`[1]`), `[1]`, []int{1})
	roundTrip(t, blocks, "x", blocks)
	roundTrip(t, blocks[0], "", blocks[0])
	roundTrip(t, agent.Result{Content: blocks}, "x", blocks)
	roundTrip(t, &agent.Result{Content: blocks}, "x", blocks)
	roundTrip(t, (*agent.Result)(nil), "", "")
}

func roundTrip[Out, Back any](t *testing.T, v Out, text string, want Back) {
	t.Helper()
	ctx := tools(t, agent.NewTool("give", "", func(context.Context, struct{}) (Out, error) { return v, nil }))
	if res, err := agent.CallTool(ctx, "callee.give", nil); err != nil || res.Text() != text {
		t.Errorf("%T: the text is %+v, %v, want %q", v, res, err, text)
	}
	if got, err := agent.Ask[Back](ctx, "callee.give", nil); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%T: Ask gave %#v, %v, want %#v", v, got, err, want)
	}
}

func TestResultThatDoesNotEncode(t *testing.T) {
	ctx := tools(t, agent.NewTool("give", "", func(context.Context, struct{}) (any, error) {
		return make(chan int), nil
	}))
	_, err := agent.CallTool(ctx, "callee.give", nil)
	wantCode(t, err, agent.CodeInternal, false)
	if err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("the error is %v", err)
	}
}
