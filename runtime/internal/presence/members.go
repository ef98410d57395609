package presence

import (
	"bytes"
	"cmp"
	"log/slog"
	"slices"
	"time"
)

// A Member is another process of the project.
type Member struct {
	// Process is its name, unique in the project.
	Process string
	// Description is what it last announced.
	Description []byte
	// Since is when it was first seen, LastSeen the time of its last announcement.
	Since, LastSeen time.Time
}

// maxMembers bounds what a broker can make this process remember.
const maxMembers = 10_000

// members are the other processes. Not for concurrent use.
type members struct {
	byProcess map[string]*Member
	// onChange is [Options].OnChange.
	onChange func(m Member, gone bool)
	log      *slog.Logger
}

// list returns them by name.
func (ms *members) list() []Member {
	out := make([]Member, 0, len(ms.byProcess))
	for _, m := range ms.byProcess {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Process, b.Process) })
	return out
}

// update renews the lease of a process, with its description where it sent one. It reports whether
// the process is known: one that is not has yet to describe itself.
func (ms *members) update(process string, description []byte) bool {
	now := time.Now()
	m := ms.byProcess[process]
	switch {
	case m != nil:
		m.LastSeen = now
		if len(description) == 0 || bytes.Equal(m.Description, description) {
			return true
		}
	case len(description) == 0:
		return false
	case len(ms.byProcess) == maxMembers:
		ms.log.Warn("too many processes in the project: one is ignored", "process", process, "limit", maxMembers)
		return true
	default:
		m = &Member{Process: process, Since: now, LastSeen: now}
		ms.byProcess[process] = m
	}
	m.Description = slices.Clone(description)
	ms.onChange(*m, false)
	return true
}

// remove ends the membership of a process.
func (ms *members) remove(process string) {
	if m := ms.byProcess[process]; m != nil {
		delete(ms.byProcess, process)
		ms.onChange(*m, true)
	}
}

// endLeases removes those that were not seen for longer than lease.
func (ms *members) endLeases(now time.Time, lease time.Duration) {
	for process, m := range ms.byProcess {
		if now.Sub(m.LastSeen) > lease {
			ms.log.Warn("a process of the project is gone without notice", "process", process)
			ms.remove(process)
		}
	}
}

// renewLeases begins all leases anew.
func (ms *members) renewLeases(now time.Time) {
	for _, m := range ms.byProcess {
		m.LastSeen = now
	}
}
