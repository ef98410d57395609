package requeststate_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/requeststate"
)

func sealer(process string, keys ...byte) *requeststate.Sealer {
	var all [][]byte
	for _, k := range keys {
		all = append(all, bytes.Repeat([]byte{k}, 32))
	}
	return requeststate.NewSealer(process, func() [][]byte { return all })
}

// What the client carries comes back as it was, at every process that has the key.
func TestAStateComesBack(t *testing.T) {
	want := requeststate.State{Bound: []byte("a call"), Round: 2, Asked: []string{"q1"}, Held: "h", Turn: 3,
		Answers: map[string]json.RawMessage{"q0": json.RawMessage(`{"n":9007199254740993}`)}, State: "own"}
	sealed, err := sealer("p1", 1).Seal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*requeststate.Sealer{sealer("p1", 1), sealer("p2", 1), sealer("p3", 2, 1)} {
		got, err := s.Open(sealed, []byte("a call"))
		if got.Process != "p1" {
			t.Errorf("made by %q", got.Process)
		}
		if got.Process, got.Expires = "", 0; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v", s.Process(), got, err)
		}
	}
	body, mac, _ := strings.Cut(sealed, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	forged := base64.RawURLEncoding.EncodeToString(bytes.Replace(raw, []byte(`"r":2`), []byte(`"r":1`), 1)) + "." + mac
	for name, c := range map[string]struct {
		s             *requeststate.Sealer
		sealed, bound string
		want          string
	}{
		"another key":    {sealer("p1", 2), sealed, "a call", "not made by this system"},
		"a later key":    {sealer("p1", 2, 3), sealed, "a call", "not made by this system"},
		"forged":         {sealer("p1", 1), forged, "a call", "not made by this system"},
		"not signed":     {sealer("p1", 1), body, "a call", "not made by this system"},
		"empty sign":     {sealer("p1", 1), body + ".", "a call", "not made by this system"},
		"cut":            {sealer("p1", 1), sealed[:len(sealed)-1], "a call", "not made by this system"},
		"not base64":     {sealer("p1", 1), body + ".%", "a call", "not made by this system"},
		"of other calls": {sealer("p1", 1), sealed, "another", "another call"},
	} {
		if got, err := c.s.Open(c.sealed, []byte(c.bound)); err == nil || !strings.Contains(err.Error(), c.want) ||
			!reflect.DeepEqual(got, requeststate.State{}) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

// A client may answer a question as long as its state allows, and not a second longer.
func TestAStateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sealer("p1", 1)
		sealed, err := s.Seal(requeststate.State{Held: "h"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(requeststate.Life)
		if _, err := s.Open(sealed, nil); err != nil {
			t.Errorf("at its last moment: %v", err)
		}
		time.Sleep(time.Second)
		if got, err := s.Open(sealed, nil); !errors.Is(err, requeststate.ErrExpired) || got.Held != "h" {
			t.Errorf("a second later: %+v %v", got, err)
		}
	})
}

// The size of what a client has to carry is bounded.
func TestAStateIsBounded(t *testing.T) {
	big := json.RawMessage(`"` + strings.Repeat("x", 256<<10) + `"`)
	_, err := sealer("p1", 1).Seal(requeststate.State{Answers: map[string]json.RawMessage{"q": big}})
	if agent.CodeOf(err) != agent.CodeResourceExhausted {
		t.Error(err)
	}
}
