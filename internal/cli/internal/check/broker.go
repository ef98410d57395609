package check

import "github.com/openmas/openmas/runtime/project"

// Broker is what there is to say of a broker that the program brings. Only its driver knows its
// options: it was asked, with that error, or it was not, which is a note.
func Broker(cfg *project.Config, asked bool, err error) []Problem {
	b, c := cfg.Broker, checker{cfg: cfg}
	keys := []string{"broker", "type"}
	if len(b.Options) > 0 {
		keys = []string{"broker", "options"}
	}
	switch {
	case b.Type == project.BrokerMemory, b.Type == project.BrokerNATS:
	case err != nil:
		c.add(Error, keys, "", "%v", err)
	case !asked && len(b.Options) > 0:
		c.add(Note, keys, "openmas validate --probe connects to the broker", "broker.options are not checked: only "+
			"the driver of the broker %s knows them, which reads them when the project starts", b.Type)
	}
	return c.found
}
