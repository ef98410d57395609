package agenttest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

// Tour asks two agents and its user, and tells others.
type Tour struct{}

func (Tour) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Tools: []agent.Tool{agent.NewTool("book", "Book.", func(ctx context.Context, p Place) (Position, error) {
			for _, tool := range []string{"hotel.book", "geo.locate"} {
				_, _ = agent.Ask[string](ctx, tool, p) // what came of it is in the transcript
			}
			if _, err := agent.Elicit[Place](ctx, "Who travels?"); err != nil {
				return Position{}, err
			}
			return Position{1, 2}, agent.Publish(ctx, "tour.booked", p)
		})},
		Subscriptions: []agent.Subscription{agent.On("tour.booked", func(ctx context.Context, p Place) error {
			_, err := agent.Ask[string](ctx, "geo.locate", p)
			return err
		})},
	}
}

func tour() agenttest.Agents {
	return agenttest.Agents{"tour": Tour{},
		"hotel": agenttest.Script{"book": agent.Errorf(agent.CodeUnavailable, "full until 2026-11-27T10:00:00Z")},
		"geo":   agenttest.Script{"locate": "room 1234567"}}
}

// A transcript is the calls, events and questions of a test, in order, without what changes.
func ExampleSystem_Transcript() {
	TestTour := func(t testing.TB) {
		sys := agenttest.Run(t, tour(), agenttest.OnElicit(Place{"Ada"}))
		_, err := agent.Ask[Position](sys.Ctx(), "tour.book", Place{"Bern"})
		fmt.Println(err)
		fmt.Print(sys.Transcript(regexp.MustCompile(`\d{7}|{"type.*false}`)))
	}
	run(TestTour)
	// Output:
	// <nil>
	// test calls tour.book {"name":"Bern"}
	//   tour calls hotel.book {"name":"Bern"}
	//   = unavailable: full until <time>
	//   tour calls geo.locate {"name":"Bern"}
	//   = room <masked>
	//   tour asks the user {"message":"Who travels?","requestedSchema":<masked>}
	//   = {"action":"accept","content":{"name":"Ada"}}
	//   tour publishes tour.booked {"name":"Bern"}
	//     tour gets tour.booked
	//       tour calls geo.locate {"name":"Bern"}
	//       = room <masked>
	// = {"Lat":1,"Lon":2}
}

func TestGolden(t *testing.T) {
	file := filepath.Join(t.TempDir(), "testdata", "tour.golden")
	golden := func(t testing.TB) {
		sys := agenttest.Run(t, tour(), agenttest.OnElicit(Place{"Ada"}))
		if _, err := agent.Ask[Position](sys.Ctx(), "tour.book", Place{"Bern"}); err != nil {
			t.Fatal(err)
		}
		sys.Golden(file)
	}
	if got := failures(golden); !strings.Contains(got, "OPENMAS_UPDATE_GOLDEN=1 go test writes it") {
		t.Errorf("without the file: %q", got)
	}
	t.Setenv(agenttest.UpdateGolden, "1")
	golden(t)
	t.Setenv(agenttest.UpdateGolden, "")
	golden(t)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	crlf := strings.ReplaceAll(string(raw), "\n", "\r\n")
	if err := os.WriteFile(file, []byte(crlf), 0o600); err != nil {
		t.Fatal(err)
	}
	golden(t)
	if err := os.WriteFile(file, []byte(strings.Replace(crlf, "Bern", "Basel", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := failures(golden); !strings.Contains(got, "line 1\n--- want\ntest calls tour.book {\"name\":\"Basel\"}") {
		t.Errorf("another file: %q", got)
	}
}

// Calls that overlap are sorted by their text. In virtual time, answers that take some make them
// overlap for certain.
func TestTranscriptOfConcurrentCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := agenttest.Run(t, agenttest.Agents{"a": agenttest.Script{"x": agenttest.Delay(time.Second, "1"),
			"y": agenttest.Delay(time.Second, "2")}})
		var both sync.WaitGroup
		for _, tool := range []string{"a.y", "a.x"} {
			both.Go(func() { _, _ = agent.Ask[string](sys.Ctx(), tool, nil) }) // it is in the transcript
		}
		both.Wait()
		if got := sys.Transcript(); got != "test calls a.x\n= 1\ntest calls a.y\n= 2\n" {
			t.Error(got)
		}
	})
}
