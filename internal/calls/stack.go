package calls

// frame is what a call takes of the stack, from the connection to a tool, a little more than half
// of the 8 KiB that this makes the stack of its goroutine.
const frame = 5 << 10

// GrowStack gives a new goroutine at once the stack that serving a call needs. One that grows on
// the way is copied with all frames that are on it by then: 8 % of the CPU of a call over SSE.
func GrowStack() { grow(false) }

// grow needs its frame also where it does not touch it.
//
//go:noinline
func grow(touch bool) {
	if touch {
		var room [frame]byte
		keep(&room)
	}
}

//go:noinline
func keep(room *[frame]byte) { room[0]++ }
