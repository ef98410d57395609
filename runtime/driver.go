package runtime

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/runtime/project"
)

// NewDriver connects to a broker that is not built in, for a project file with that broker's name
// under broker.type. It returns when the connection stands. The runtime closes the driver, after
// everything that uses it. All processes of the project share the broker: see [pubsub.Driver] for
// what it has to do.
type NewDriver func(ctx context.Context, o DriverOptions) (pubsub.Driver, error)

// DriverOptions are what a driver may need to know.
type DriverOptions struct {
	// Project is the project's name, which every subject has in it already, and Process the name of
	// this process, unique in the project.
	Project, Process string
	// Dir is the project file's folder: relative paths start there.
	Dir string
	// Options are what the project file has under broker.options, references to the environment and
	// to files resolved: a driver decodes them with [project.Fill], strictly.
	Options map[string]any
	// Wait is how long a broker that is down is waited for; 0: for as long as it takes, negative:
	// not at all.
	Wait time.Duration
	// Logger is for what no call can return. Secrets of the project file never get out of it.
	Logger *slog.Logger
}

// checkDriver checks that there is a driver for the project's broker.
func checkDriver(c *project.Config, drivers map[string]NewDriver) error {
	for name, d := range drivers {
		if name == project.BrokerMemory || name == project.BrokerNATS || name == "" || d == nil {
			return errors.New("a driver needs a name that is not built in, and a function: " + name)
		}
	}
	if t := c.Broker.Type; t != project.BrokerMemory && t != project.BrokerNATS && drivers[t] == nil {
		e := c.Errorf([]string{"broker", "type"}, "broker.type: this program has no broker %q", t)
		e.Hint = nearest.Hint(t, append(slices.Sorted(maps.Keys(drivers)), project.BrokerMemory, project.BrokerNATS))
		return e
	}
	return nil
}
