package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// What only the driver of a broker knows is asked with --probe, and a note without it.
func TestValidateAsksDrivers(t *testing.T) {
	waits, left := []string{}, 0
	connect := func(_ context.Context, o runtime.DriverOptions) (pubsub.Driver, error) {
		waits = append(waits, o.Wait.String())
		var own struct {
			Queue int    `json:"queue"`
			Key   string `json:"key"`
		}
		switch err := project.Fill(&own, o.Options); {
		case err != nil:
			return nil, fmt.Errorf("options: %w", err)
		case own.Queue == 0:
			return nil, errors.New("nothing listens there, with the key " + own.Key)
		}
		return leaving{pubsub.NewMemory(pubsub.MemoryOptions{}), &left}, nil
	}
	path := projectFile(t, "agents: {a: {type: once}}\n"+
		"broker:\n  type: post\n  options: {queue: 3, key: \"${env:KEY}\"}\n")
	validate := func(args ...string) result {
		var out, errOut testkit.Buffer
		code := Run(t.Context(), Program{Types: types(), Drivers: map[string]runtime.NewDriver{"post": connect},
			Environ: []string{"KEY=sesame-sesame"}}, append([]string{"validate", path}, args...),
			Streams{In: strings.NewReader(""), Out: &out, Err: &errOut})
		return result{code, out.String(), errOut.String()}
	}
	const note = "note: broker.options are not checked: only the driver of the broker post knows them"
	for args, want := range map[string]string{
		"":                                      note,
		"--probe":                               "",
		"--set broker.options.size=9":           note,
		"--probe --set broker.options.size=9":   `error: broker post: options: unknown key "size"; known: `,
		"--probe --set broker.options.queue=0":  "error: broker post: nothing listens there, with the key ***",
		"--probe --set broker.options.queue=no": "error: broker post: options: queue: wants a whole number",
	} {
		waits, left = nil, 0
		r := validate(strings.Fields(args)...)
		wrong, asked := strings.HasPrefix(want, "error"), strings.Contains(args, "--probe")
		if (r.code == exitUsage) != wrong || !strings.Contains(r.err, want) || want == "" && r.err != "" ||
			asked != (fmt.Sprint(waits) == "[-1ns]") || !asked && waits != nil || (left == 1) != (asked && !wrong) ||
			strings.Contains(r.err, "sesame") {
			t.Errorf("%q: %+v, waits %v, left %d", args, r, waits, left)
		}
	}
	var j struct {
		Problems []struct{ Severity, Key string }
	}
	if r := validate("--json"); json.Unmarshal([]byte(r.out), &j) != nil ||
		fmt.Sprint(j.Problems) != "[{note broker.options}]" {
		t.Errorf("%+v", r)
	}
}

// A leaving driver counts how often it was left.
type leaving struct {
	pubsub.Driver
	left *int
}

func (l leaving) Close() error { *l.left++; return l.Driver.Close() }
