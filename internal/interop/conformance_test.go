package interop

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

// knownGaps are the scenarios of which the SDK's own programs pass more checks than ours, each with
// the reason. One that passes has to be taken off the list.
var knownGaps = map[string]string{
	"server-stateless": "two checks are left out: they want a tool that changes the list of tools, and an agent's is " +
		"what it declares; package mcp tests the notifications",
}

// A score is how many checks of a scenario passed and failed. Some are made with every request, so
// that programs which send fewer have fewer: kinds are those that passed.
type score struct {
	passed, failed int
	kinds          map[string]bool
}

func TestConformanceOfTheServer(t *testing.T) {
	noted := rows.add(t, "conformance suite, all", toolbox.ConformanceVersion, theirClient, "http")
	needs(t, toolbox.Node, toolbox.Peers)
	t.Parallel()
	yardstick := start(t, nil, sdkServer(t), "-stateless=false", "-http", freeAddress(t))
	url := "http://" + yardstick.cmd.Args[len(yardstick.cmd.Args)-1] + "/"
	awaitHTTP(t, url)
	noted.result = bothPaths(t, toolbox.Peers, url, "--suite", "all")
}

// bothPaths holds our server, with the fast path and without it, against the SDK's at url.
func bothPaths(t *testing.T, suite *toolbox.Tool, url string, what ...string) (said string) {
	t.Helper()
	run := func(url string) map[string]score {
		return conformance(t, suite, append(append([]string{"server"}, what...), "--url", url)...)
	}
	theirs := run(url)
	for _, fast := range []bool{false, true} {
		ours := serve(t, fmt.Sprintf("project: interop\nagents: {conformance: {type: conformance}}\ngateway: "+
			"{listen: '127.0.0.1:0'}\nmcp: {fast_path: %v}\n", fast))
		said = compare(t, theirs, run(ours+"/agents/conformance/mcp"))
		// One of the calls on the fast path is that which asks.
		if taken := fastCalls(t, ours); fast && taken < 5 || !fast && taken > 0 {
			t.Errorf("fast path %v: %d calls took the fast path", fast, taken)
		}
	}
	return said
}

// fastCalls asks a running system of ours how many calls of tools took the fast path.
func fastCalls(t *testing.T, url string) int64 {
	t.Helper()
	out := start(t, nil, openmas(t), "call", "openmas.status", "{}", "--url", url).wait(t)
	var status struct {
		Gateway struct{ FastCalls *int64 }
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil || status.Gateway.FastCalls == nil {
		t.Fatalf("the status is %q: %v", out, err)
	}
	return *status.Gateway.FastCalls
}

func TestConformanceOfTheClient(t *testing.T) {
	noted := rows.add(t, "conformance suite, core", toolbox.ConformanceVersion, theirServer, "http")
	needs(t, toolbox.Node, toolbox.Peers)
	t.Parallel()
	theirs := conformance(t, toolbox.Peers, "client", "--suite", "core", "--command", sdkClient(t))
	for _, how := range []string{" beside", ""} {
		noted.result = compare(t, theirs, conformance(t, toolbox.Peers, "client", "--suite", "core", "--command",
			conformant(t)+how))
	}
}

// The newest protocol has a suite of its own. What is scored is what the protocol requires; of the
// rest only extensions that neither program has fail.
const newest = "2026-07-28"

func TestNewestConformanceOfTheServer(t *testing.T) {
	noted := rows.add(t, "conformance suite, "+newest, toolbox.NewestConformanceVersion, theirClient, "http")
	needs(t, toolbox.Node, toolbox.Newest)
	t.Parallel()
	yardstick := start(t, nil, sdkServer(t), "-stateless=true", "-http", freeAddress(t))
	url := "http://" + yardstick.cmd.Args[len(yardstick.cmd.Args)-1] + "/"
	awaitHTTP(t, url)
	noted.result = bothPaths(t, toolbox.Newest, url, "--requirements", newest)
}

func TestNewestConformanceOfTheClient(t *testing.T) {
	noted := rows.add(t, "conformance suite, "+newest, toolbox.NewestConformanceVersion, theirServer, "http")
	needs(t, toolbox.Node, toolbox.Newest)
	t.Parallel()
	theirs := conformance(t, toolbox.Newest, "client", "--requirements", newest, "--command", sdkClient(t))
	for _, how := range []string{" beside", ""} {
		noted.result = compare(t, theirs, conformance(t, toolbox.Newest, "client", "--requirements", newest,
			"--command", conformant(t)+how))
	}
}

// scenario is a line of the suite's summary.
var scenario = regexp.MustCompile(`(?m)^[✓✗] (\S+): (\d+) passed, (\d+) failed`)

// conformance runs the suite and reads its summary. Its exit code is only whether all is well.
func conformance(t *testing.T, suite *toolbox.Tool, args ...string) map[string]score {
	t.Helper()
	argv := []string{nodeProgram(t), filepath.Join(folder(suite), "node_modules", "@modelcontextprotocol",
		"conformance", "dist", "index.js")}
	results := t.TempDir()
	p := start(t, nil, append(append(argv, args...), "--output-dir", results)...)
	out := p.finish(t)
	scores := map[string]score{}
	for _, m := range scenario.FindAllStringSubmatch(out, -1) {
		passed, _ := strconv.Atoi(m[2]) // digits, by the expression
		failed, _ := strconv.Atoi(m[3])
		scores[m[1]] = score{passed, failed, map[string]bool{}}
	}
	readKinds(t, results, scores)
	if len(scores) == 0 {
		t.Fatalf("the suite said nothing that is understood:\n%s\n%s", out, p.stderr())
	}
	return scores
}

// stamp is what the suite adds to a scenario's name for its folder.
var stamp = regexp.MustCompile(`-\d{4}-\d\d-\d\dT[\d-]+Z$`)

// readKinds reads the checks of each scenario.
func readKinds(t *testing.T, results string, scores map[string]score) {
	t.Helper()
	err := filepath.WalkDir(results, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "checks.json" {
			return err
		}
		folder, err := filepath.Rel(results, filepath.Dir(path))
		if err != nil {
			return err
		}
		name := stamp.ReplaceAllString(filepath.ToSlash(folder), "")
		s, ok := scores[name]
		if !ok {
			s = scores[strings.TrimPrefix(name, "server-")]
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var checks []struct{ ID, Status string }
		if err := json.Unmarshal(raw, &checks); err != nil {
			return err
		}
		for _, c := range checks {
			if c.Status == "SUCCESS" && s.kinds != nil {
				s.kinds[c.ID] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// compare fails the test for every scenario that theirs passes and ours does not, but for the known
// gaps.
func compare(t *testing.T, theirs, ours map[string]score) string {
	t.Helper()
	var all, best score
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		a, b := theirs[name], ours[name]
		best.passed, best.failed = best.passed+a.passed, best.failed+a.failed
		if len(a.kinds) == 0 && a.passed > 0 {
			t.Errorf("%s: no results were found", name)
		}
		all.passed, all.failed = all.passed+b.passed, all.failed+b.failed
		bad := b.failed > 0 && a.failed == 0
		for kind := range a.kinds {
			bad = bad || !b.kinds[kind]
		}
		switch reason, known := knownGaps[name]; {
		case bad && !known:
			t.Errorf("%s: %d checks passed and %d failed; the SDK's own program passes %d and fails %d", name, b.passed,
				b.failed, a.passed, a.failed)
		case bad:
			t.Logf("known gap: %s: %s", name, reason)
		case known:
			t.Errorf("%s passes now: take it off the list of known gaps", name)
		}
	}
	return fmt.Sprintf("%d checks passed, %d failed (the SDK's own program: %d, %d)", all.passed, all.failed,
		best.passed, best.failed)
}

// freeAddress is one that nobody listens at, for a program that does not choose its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
