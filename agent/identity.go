package agent

// Anonymous is the User where nobody proved to be someone.
const Anonymous = "anonymous"

// An Identity says who makes a call. The runtime sets it; what a caller writes there does not
// arrive.
//
// The runtime calls as the agent openmas, and so does the program that it is part of.
type Identity struct {
	// Agent is the agent that calls, Instance which of its instances ("name/0"). Both are empty for
	// a caller that is no agent: a client of the gateway, a program.
	Agent, Instance string
	// User is whom the entry call was made for: an authenticated user, or [Anonymous]; empty when
	// an agent began by itself. It is the same on every hop below the entry call.
	User string
	// Trusted: the caller is code of this system, in this process, in a child process of its own
	// types, or in another process on its broker. The clients of a gateway and the programs of
	// foreign agents are not trusted, although it is known who they are. No wire can make a caller
	// trusted: whoever receives a call knows whom it comes from.
	Trusted bool
}

// String is for people: "editor", "ann", or "editor for ann".
func (i Identity) String() string {
	switch {
	case i.Agent == "":
		return i.User
	case i.User == "":
		return i.Agent
	}
	return i.Agent + " for " + i.User
}
