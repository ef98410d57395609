// Package descriptors says how many sessions fit into the file descriptors that this process may
// have, so that clients are refused before agents cannot be started.
package descriptors

const (
	perSession  = 2  // its stream, and the connection of its requests
	perInstance = 8  // pipes to a child process, its guard, a connection to it and from it
	reserve     = 64 // listeners, logs, the broker, the operations socket, requests without a session
	fewest      = 4
)

// Sessions is how many sessions of clients a process with so many instances of agents has room for,
// and the limit of descriptors that this comes from. ok is false where there is no limit that is
// known.
func Sessions(instances int) (sessions int, of uint64, ok bool) {
	of, ok = limit()
	return room(of, instances), of, ok
}

func room(limit uint64, instances int) int {
	const most = 1 << 30
	free := int(min(limit, most)) - reserve - perInstance*instances
	return max(free/perSession, fewest)
}
