package wire

import "testing"

// An id comes back as it was written; what the SDK can return passes as it is.
func TestIDsOfClients(t *testing.T) {
	for id, hiddenOne := range map[string]bool{`1`: false, `-7`: false, `9007199254740992`: false, `"a"`: false,
		`""`: false, `"9007199254740993"`: false, `null`: false, `{"a":1}`: false, `9007199254740993`: true,
		`-9007199254740993`: true, `1.0`: true, `1e3`: true, `-0`: true, `"\u0061\""`: true, `"openmas-id:1"`: true,
		`123456789012345678901234567890`: true} {
		msg := `{"jsonrpc":"2.0","id":` + id + `,"method":"ping","params":{"a":"<&>"}}`
		var env Envelope
		if !env.Scan([]byte(msg)) {
			t.Fatal(msg)
		}
		in := env.HideID([]byte(msg), nil)
		if got := string(in) != msg; got != hiddenOne {
			t.Errorf("%s: hidden %v, %s", id, got, in)
		}
		out := append(append([]byte(`{"jsonrpc":"2.0","id":`), env.ID...), `,"result":{"id":"openmas-id:1"}}`...)
		if got := string(ShowID(out)); got != `{"jsonrpc":"2.0","id":`+id+`,"result":{"id":"openmas-id:1"}}` {
			t.Errorf("%s comes back in %s", id, got)
		}
	}
	for _, cancelled := range []string{"1.5", "1.0"} {
		msg := []byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + cancelled + `}}`)
		for _, open := range []bool{false, true} {
			var env Envelope
			env.Scan(msg)
			hidden := env.HideID(msg, func(id string) bool { return open && id == "openmas-id:"+cancelled })
			changed := string(hidden) != string(msg)
			if changed != open {
				t.Errorf("%s, open %v: changed %v", cancelled, open, changed)
			}
		}
	}
}
