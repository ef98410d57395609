package runtime

import (
	"math"
	"reflect"
	"testing"

	"github.com/openmas/openmas/runtime/project"
)

// TestLimitsAreHandedOn: what the project file says of the gateway counts, and not what package
// server would do by itself.
func TestLimitsAreHandedOn(t *testing.T) {
	all := project.MCP{MaxBody: 1, MaxFrame: 2, MaxSessions: 3, MaxCalls: 4, MaxSessionCalls: 5, SessionIdle: 6,
		SessionLifetime: 7, HeaderTimeout: 8, ReadTimeout: 9, WriteTimeout: 10, KeepAlive: 11, Linger: 12, Resume: 13,
		Poll: 14}
	limits := reflect.ValueOf(gatewayLimits(all))
	seen := map[int64]string{}
	for i := range limits.NumField() {
		name, value := limits.Type().Field(i).Name, limits.Field(i).Int()
		if value == 0 || seen[value] != "" {
			t.Errorf("%s is %d, as %q is", name, value, seen[value])
		}
		seen[value] = name
	}

	off := gatewayLimits(project.MCP{SessionIdle: project.Off, SessionLifetime: project.Off, KeepAlive: project.Off,
		Resume: project.Off, Poll: project.Off})
	if off.Idle != math.MaxInt64 || off.Lifetime >= 0 || off.Ping != math.MaxInt64 || off.Resume != 0 || off.Poll != 0 {
		t.Errorf("what is off: %+v", off)
	}
}
