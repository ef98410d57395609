package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
)

// A caller's user is sent to pages where the session says that this can be asked, and learns once
// that what it was for is done.
func TestVisits(t *testing.T) {
	for _, tt := range []struct {
		target Target
		o      Options
		action string // empty: the server is not told that it may ask
	}{
		{Target{}, Options{Visits: true}, agent.ElicitAccept},
		{Target{}, Options{Visits: true, NoFastPath: true}, agent.ElicitAccept},
		{Target{}, Options{Visits: true}, agent.ElicitDecline},
		{Target{Trusted: true}, Options{}, agent.ElicitAccept},
		{Target{}, Options{}, ""},
	} {
		t.Run(fmt.Sprintf("%v %v %v", tt.target.Trusted, tt.o.Visits, tt.action), func(t *testing.T) {
			everyWay(t, tt.target, tt.o, func(t *testing.T, _ *fixture.Foreign, s *Session) {
				var asked []agent.ElicitURLRequest
				done := []string{}
				back := agent.BackChannelFuncs{
					ElicitURL: func(_ context.Context, r agent.ElicitURLRequest) (agent.ElicitResult, error) {
						asked = append(asked, r)
						return agent.ElicitResult{Action: tt.action}, nil
					},
					OnElicitComplete: func(id string) { done = append(done, id) },
				}
				res, err := call(t.Context(), s, "ask", question{"visit", "https://a.example"}, back)
				if tt.action == "" {
					if err == nil || !strings.Contains(err.Error(), `does not support "url"`) || asked != nil {
						t.Errorf("%v, asked %v", err, asked)
					}
					return
				}
				if err != nil || res.Text() != tt.action {
					t.Fatalf("%v, %v", res, err)
				}
				want := []agent.ElicitURLRequest{{Message: "look", URL: "https://a.example", ID: "visit-7"}}
				ends := []string{}
				if tt.action == agent.ElicitAccept {
					ends = []string{"visit-7"}
				}
				if !slices.Equal(asked, want) || !slices.Equal(done, ends) {
					t.Errorf("asked %+v, told of the end of %q", asked, done)
				}
				_, err = call(t.Context(), s, "ask", question{"visit", "https://a.example"}, answers("me"))
				if err == nil || !strings.Contains(err.Error(), `mode "url"`) {
					t.Errorf("whoever fills in forms is sent to a page: %v", err)
				}
			})
		})
	}
}
