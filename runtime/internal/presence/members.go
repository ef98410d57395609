package presence

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/openmas/openmas/internal/bus"
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

// Members lists the other processes, by name.
func (r *Registry) Members() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Member, 0, len(r.members))
	for _, m := range r.members {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Process, b.Process) })
	return out
}

// update renews the lease of a process, with its description where it sent one. r.mu is held.
func (r *Registry) update(process string, description []byte) {
	now := time.Now()
	m := r.members[process]
	switch {
	case m != nil:
		m.LastSeen = now
		if len(description) == 0 || bytes.Equal(m.Description, description) {
			return
		}
	case len(description) == 0: // unknown: a hello makes it describe itself
		r.announceSoon(bus.PresenceHello)
		return
	case len(r.members) == maxMembers:
		r.o.Logger.Warn("too many processes in the project: one is ignored", "process", process, "limit", maxMembers)
		return
	default:
		m = &Member{Process: process, Since: now, LastSeen: now}
		r.members[process] = m
	}
	m.Description = slices.Clone(description)
	r.o.OnChange(*m, false)
}

// remove ends the membership of a process. r.mu is held.
func (r *Registry) remove(process string) {
	if m := r.members[process]; m != nil {
		delete(r.members, process)
		r.o.OnChange(*m, true)
	}
}

// endLeases removes the members that were not seen in time.
func (r *Registry) endLeases(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for process, m := range r.members {
		if now.Sub(m.LastSeen) > r.o.Lease {
			r.o.Logger.Warn("a process of the project is gone without notice", "process", process)
			r.remove(process)
		}
	}
}

// renewLeases begins all leases anew.
func (r *Registry) renewLeases(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		m.LastSeen = now
	}
}
