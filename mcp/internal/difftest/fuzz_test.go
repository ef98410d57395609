package difftest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// FuzzAnswers: whatever a server says to a call means the same with the fast path and without.
func FuzzAnswers(f *testing.F) {
	ways := []way{{transport: mcp.SSE, version: eraLast}, {transport: mcp.SSE, version: eraMarch},
		{transport: mcp.Streamable, version: eraLast}, {transport: mcp.Streamable, version: eraLast, json: true},
		{transport: mcp.Streamable, version: eraMarch}, {transport: mcp.Streamable, version: eraNewest}}
	sessions, urls := make([][2]*client.Session, len(ways)), make([][2]string, len(ways))
	for i, w := range ways {
		urls[i] = [2]string{w.serve(f), w.serve(f)}
		f.Cleanup(func() { closeSession(sessions[i][0]); closeSession(sessions[i][1]) })
	}
	for _, c := range answerCases(f) {
		f.Add(uint8(len(c.say)), []byte(c.say))
	}
	f.Fuzz(func(t *testing.T, n uint8, say []byte) {
		i := int(n) % len(ways)
		sc := script{Say: bytes.Split(say, []byte{'\n'}), JSON: ways[i].json}
		if sc.JSON {
			sc.Say = [][]byte{say}
		} else {
			sc.Say = append(sc.Say, []byte(end))
		}
		both := ways[i].tryBoth(t, &sessions[i], urls[i], sc, 0)
		both[0].got, both[1].got = nil, nil // what the server is asked may come later
		if d := both[0].differs(both[1]); d != "" {
			t.Errorf("%s: with the fast path and without, %s", ways[i], d)
		}
	})
}

// FuzzRequests: whatever a client says is answered in the same way with the fast path and without.
func FuzzRequests(f *testing.F) {
	versions := []string{era2024, eraMarch, eraLast, eraNewest}
	for _, c := range requestCases(f) {
		if !waits(c.say) {
			f.Add(uint8(len(c.say)), c.say)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, say string) {
		if waits(say) {
			t.Skip("it waits for more")
		}
		version := versions[int(n)%len(versions)]
		lines := slices.Collect(strings.SplitSeq(in(version, say), "\n"))
		for _, transport := range []mcp.Transport{mcp.Stdio, mcp.Streamable} {
			if transport == mcp.Streamable && (version == era2024 || len(lines) > 1) {
				continue // where answers are complete is known of one response only
			}
			var both [2]string
			for i := range both {
				w := way{transport: transport, version: version, fast: i == 0}
				c := w.join(t, false)
				for _, line := range lines {
					c.send(line)
				}
				both[i] = order(c.finish())
			}
			if both[0] != both[1] {
				t.Errorf("%s %s: with the fast path\n  %s\nand without\n  %s", transport, version, both[0], both[1])
			}
		}
	})
}

// waits reports whether a conversation holds a call that does not end by itself.
func waits(say string) bool {
	return slices.ContainsFunc([]string{"hang", "elicit", "sample", "roots", "pending", "await"},
		func(tool string) bool { return strings.Contains(say, tool) }) || strings.Contains(say, `\u`)
}
