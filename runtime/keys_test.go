package runtime_test

import (
	"fmt"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/project"
)

// Calls with one key run once, whichever replica gets them.
func TestKeysHoldForAllReplicas(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			cfg := pair(over)
			far := cfg.Agents["far"]
			far.Replicas = 3
			cfg.Agents["far"] = far
			s := start(t, cfg, nil)
			for key := range 6 {
				seen := map[string]bool{}
				for range 6 {
					got, err := agent.Ask[string](s.ctx, "far.roll", note{}, agent.IdempotencyKey(fmt.Sprint(key)))
					if err != nil {
						t.Fatal(err)
					}
					seen[got] = true
				}
				if len(seen) != 1 {
					t.Errorf("the key %d ran %d times", key, len(seen))
				}
			}
			info, _ := s.Directory().Agent("far")
			if one := over != project.OverStdio; (info.Keeper != "") != one {
				t.Errorf("the generation is %q: the replicas share their results: %v", info.Keeper, one)
			}
		})
	}
}
