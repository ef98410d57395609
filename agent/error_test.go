package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
)

func TestErrorCrossesAsJSON(t *testing.T) {
	for _, tt := range []struct {
		e    *agent.Error
		want string
	}{
		{&agent.Error{Code: agent.CodeNotFound}, `{"code":"not_found"}`},
		{&agent.Error{Code: agent.CodeUnavailable, Message: "ä", RetryAfter: 1500 * time.Millisecond,
			Details: json.RawMessage(`[1]`), NotExecuted: true},
			`{"code":"unavailable","message":"ä","retryAfter":1500,"details":[1],"notExecuted":true}`},
	} {
		b, err := json.Marshal(tt.e)
		if err != nil || string(b) != tt.want {
			t.Errorf("%v is written as %s, %v", tt.e, b, err)
		}
		var back agent.Error
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(&back, tt.e) {
			t.Errorf("%s is read as %+v, %v", b, back, err)
		}
	}
	broken, err := json.Marshal(agent.Error{Details: json.RawMessage(`{"a":`)}.Details)
	if err == nil {
		t.Fatalf("the broken details encode as %s: the test below proves nothing", broken)
	}
	if b, err := json.Marshal(&agent.Error{Code: agent.CodeInternal, Details: json.RawMessage(`{"a":`)}); err != nil ||
		string(b) != `{"code":"internal","details":"{\"a\":"}` {
		t.Errorf("an error with broken details is written as %s, %v", b, err)
	}
}

func TestErrorReadsWhatOthersWrite(t *testing.T) {
	for in, want := range map[string]agent.Error{
		`{"code":"not_found_yet","message":"m"}`: {Code: agent.CodeInternal, Message: "m"},
		`{}`:                                     {Code: agent.CodeInternal},
		`{"code":"canceled","retryAfter":-5,"other":true}`: {Code: agent.CodeCanceled},
		`{"code":"canceled","retryAfter":9223372036854775807}`: {Code: agent.CodeCanceled,
			RetryAfter: 9223372036854 * time.Millisecond},
	} {
		var got agent.Error
		if err := json.Unmarshal([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v, %v", in, got, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"code":7}`), &agent.Error{}); err == nil {
		t.Error("a number was taken for a code")
	}
}

func TestEveryCodeParses(t *testing.T) {
	for _, c := range agent.Codes() {
		if agent.ParseCode(string(c)) != c {
			t.Errorf("%s parses as %s", c, agent.ParseCode(string(c)))
		}
	}
}

func TestErrorIsAndAs(t *testing.T) {
	e := agent.Errorf(agent.CodeUnavailable, "read: %w", io.ErrUnexpectedEOF)
	wrapped := fmt.Errorf("ask: %w", e)
	for target, want := range map[error]bool{
		agent.CodeUnavailable: true, agent.CodeInternal: false, io.ErrUnexpectedEOF: true, io.EOF: false,
		context.Canceled: false,
	} {
		if errors.Is(wrapped, target) != want {
			t.Errorf("errors.Is(%v, %v) = %v", wrapped, target, !want)
		}
	}
	if e := agent.Errorf(agent.CodeInternal, "%w and %w", io.EOF, io.ErrClosedPipe); !errors.Is(e, io.EOF) ||
		!errors.Is(e, io.ErrClosedPipe) {
		t.Error("of two causes one is lost")
	}
	if e := agent.Errorf(agent.CodeInternal, "no cause"); errors.Unwrap(e) != nil {
		t.Errorf("the cause is %v", errors.Unwrap(e))
	}
	for code, target := range map[agent.Code]error{agent.CodeCanceled: context.Canceled,
		agent.CodeDeadlineExceeded: context.DeadlineExceeded} {
		if !errors.Is(&agent.Error{Code: code}, target) {
			t.Errorf("%s is not %v", code, target)
		}
	}
	var as *agent.Error
	if !errors.As(wrapped, &as) || as != e {
		t.Errorf("errors.As gave %v", as)
	}
}

func TestAsError(t *testing.T) {
	e := &agent.Error{Code: agent.CodeNotFound, Message: "gone", RetryAfter: time.Second, Details: json.RawMessage(`1`),
		NotExecuted: true}
	for _, tt := range []struct {
		in   error
		want agent.Error
	}{
		{e, *e},
		{fmt.Errorf("ask: %w", e), agent.Error{Code: agent.CodeNotFound, Message: "ask: not_found: gone",
			RetryAfter: time.Second, Details: json.RawMessage(`1`), NotExecuted: true}},
		{context.Canceled, agent.Error{Code: agent.CodeCanceled, Message: "context canceled"}},
		{fmt.Errorf("x: %w", context.DeadlineExceeded),
			agent.Error{Code: agent.CodeDeadlineExceeded, Message: "x: context deadline exceeded"}},
		{agent.CodeNotFound, agent.Error{Code: agent.CodeNotFound, Message: "not_found"}},
		{fmt.Errorf("x: %w", agent.CodePermissionDenied),
			agent.Error{Code: agent.CodePermissionDenied, Message: "x: permission_denied"}},
		{agent.Code("made up"), agent.Error{Code: agent.CodeInternal, Message: "made up"}},
		{errors.New("x"), agent.Error{Code: agent.CodeInternal, Message: "x"}},
	} {
		got := agent.AsError(tt.in)
		if got.Code != tt.want.Code || got.Message != tt.want.Message || got.RetryAfter != tt.want.RetryAfter ||
			string(got.Details) != string(tt.want.Details) || got.NotExecuted != tt.want.NotExecuted {
			t.Errorf("AsError(%v) = %+v, want %+v", tt.in, got, tt.want)
		}
		if agent.CodeOf(tt.in) != tt.want.Code || !errors.Is(got, tt.in) && got != tt.in {
			t.Errorf("CodeOf(%v) = %v; the cause is kept: %v", tt.in, agent.CodeOf(tt.in), errors.Is(got, tt.in))
		}
	}
	if agent.AsError(nil) != nil || agent.CodeOf(nil) != "" {
		t.Error("nil is an error")
	}
	if e.Message != "gone" {
		t.Error("the original was changed")
	}
}

func TestAsLogged(t *testing.T) {
	e := agent.Errorf(agent.CodeNotFound, "gone")
	logged := agent.AsLogged(e)
	if !logged.Logged || e.Logged || logged.Error() != e.Error() || !errors.Is(logged, e) {
		t.Errorf("%+v became %+v", e, logged)
	}
	if again := agent.AsLogged(logged); again != logged {
		t.Errorf("logged twice: %+v", again)
	}
	if e := agent.AsLogged(nil); e != nil {
		t.Errorf("nil became %v", e)
	}
	if e := agent.AsLogged(io.EOF); !e.Logged || e.Code != agent.CodeInternal || !errors.Is(e, io.EOF) {
		t.Errorf("an error of somebody else became %+v", e)
	}
}

func TestErrorText(t *testing.T) {
	if got := agent.Refusedf(agent.CodeNotFound, "no %s", "geo").Error(); got != "not_found: no geo" {
		t.Error(got)
	}
	if got := (&agent.Error{Code: agent.CodeInternal}).Error(); got != "internal" {
		t.Error(got)
	}
}

func FuzzErrorJSON(f *testing.F) {
	f.Add([]byte(`{"code":"unavailable","message":"m","retryAfter":1500,"details":{"a":[1]},"notExecuted":true}`))
	f.Add([]byte(`{"retryAfter":9223372036854775807,"details":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again agent.Error
		if json.Unmarshal(b, &e) != nil {
			return
		}
		if agent.ParseCode(string(e.Code)) != e.Code || e.RetryAfter < 0 {
			t.Fatalf("%s is read as %+v", b, e)
		}
		out, err := json.Marshal(&e)
		if err != nil {
			t.Fatalf("%+v does not encode: %v", e, err)
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s does not decode: %v", out, err)
		}
		out2, err := json.Marshal(&again)
		if err != nil || string(out2) != string(out) {
			t.Fatalf("%s became %s, %v", out, out2, err)
		}
	})
}

// The code of a foreign server's error crosses every wire, and is not that of a tool that asked the
// server.
func TestRPCCode(t *testing.T) {
	const rpc = `{"code":-32042,"message":"visit","more":1.0}`
	e := &agent.Error{Code: agent.CodeToolFailed, Message: "visit", RPC: json.RawMessage(rpc),
		Details: json.RawMessage(`{"a":1}`)}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var got agent.Error
	if err := json.Unmarshal(b, &got); err != nil || string(got.RPC) != rpc {
		t.Errorf("%s: %s, %v", b, got.RPC, err)
	}
	if code, ok := got.RPCCode(); !ok || code != -32042 {
		t.Errorf("code %d, %v", code, ok)
	}
	for _, none := range []string{"", "{}", "null", `{"code":"x"}`, "1"} {
		if code, ok := (&agent.Error{RPC: json.RawMessage(none)}).RPCCode(); ok {
			t.Errorf("%q has the code %d", none, code)
		}
	}
	zero := agent.Error{RPC: json.RawMessage(`{"code":0,"message":"no"}`)}
	if code, ok := zero.RPCCode(); !ok || code != 0 {
		t.Errorf("code %d, %v, want 0", code, ok)
	}
	ctx := tools(t, agent.NewTool("say", "", func(context.Context, struct{}) (string, error) { return "", e }))
	_, err = agent.Ask[string](ctx, "callee.say", nil)
	if got := agent.AsError(err); got.RPC != nil || string(got.Details) != `{"a":1}` || e.RPC == nil {
		t.Errorf("%+v", got)
	}
}
