package dockerdiscovery

import (
	"slices"
	"sync"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// twins finds hosts that are one: their endpoints lead to one engine in two ways. A container that runs on both proves it, of
// one ID and started in the same nanosecond: cloned machines have equal IDs, but start by themselves. While the first of the
// two in the Corefile is current the second is set aside.
type twins struct {
	hosts []*watchedHost // in the Corefile's order

	mu   sync.Mutex     // guards the following, and the hosts' kinship
	runs map[string]run // the running containers by ID, but for those of second hosts
}

// run is that of a container.
type run struct {
	host    *watchedHost
	started int64 // by the engine's clock, in Unix nanoseconds
}

// kinship is what twins have to know of a host.
type kinship struct {
	sink    sink             // the host's
	current bool             // what is known of the host is what its engine says
	first   *watchedHost     // that has the same engine, nil if none is known to
	told    *watchedHost     // the first of which the log has told
	own     map[string]int64 // when its containers were started, by ID, if it has a first
	aside   bool
}

// newTwins returns nil where no two hosts can be one.
func newTwins(hosts []*watchedHost) *twins {
	if len(hosts) < 2 {
		return nil
	}
	return &twins{hosts: hosts, runs: map[string]run{}}
}

// note takes changes of the host's containers, before anybody else does.
func (t *twins) note(h *watchedHost, changes []container.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range changes {
		switch c := &changes[i]; {
		case !c.Ran():
		case c.Container == nil:
			delete(h.kin.own, c.ID)
			if t.runs[c.ID].host == h {
				delete(t.runs, c.ID)
			}
		case !c.Container.Started.IsZero():
			t.started(c.ID, run{h, c.Container.Started.UnixNano()})
		}
	}
}

// started notes that a container runs. The caller holds mu.
func (t *twins) started(id string, now run) {
	if now.host.kin.first != nil {
		now.host.kin.own[id] = now.started
		return
	}
	before, known := t.runs[id]
	switch {
	case !known || before.host == now.host:
		t.runs[id] = now
	case before.started == now.started:
		t.pair(before.host, now.host)
		t.started(id, now)
	}
}

// pair notes that two hosts have one engine, neither of which is known to have another's. The caller holds mu.
func (t *twins) pair(first, second *watchedHost) {
	if slices.Index(t.hosts, second) < slices.Index(t.hosts, first) {
		first, second = second, first
	}
	for _, h := range t.hosts {
		if h.kin.first == second {
			h.kin.first = first
			t.settle(h)
		}
	}
	second.kin.first, second.kin.own = first, map[string]int64{}
	for id, r := range t.runs {
		if r.host == second {
			second.kin.own[id] = r.started
			delete(t.runs, id)
		}
	}
	if second.kin.told != first {
		second.kin.told = first
		log.Warningf("Docker Engine %s is the one %s too: its containers count once, as that one's. Leave out one of the endpoints", at(second.Source()), at(first.Source()))
	}
	t.settle(second)
}

// current notes whether what is known of the host is what its engine says.
func (t *twins) current(h *watchedHost, current bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.kin.current = current
	for _, second := range t.hosts {
		if second == h || second.kin.first == h {
			t.review(second)
			t.settle(second)
		}
	}
}

// review looks whether the host still has the engine of its first, where both can tell: an endpoint's name may have come to be
// another machine's. The caller holds mu.
func (t *twins) review(h *watchedHost) {
	first, own := h.kin.first, h.kin.own
	if first == nil || !first.kin.current || !h.kin.current || len(own) == 0 {
		return
	}
	for id, started := range own {
		if t.runs[id] == (run{first, started}) {
			return
		}
	}
	log.Infof("Docker Engine %s is not the one %s any more", at(h.Source()), at(first.Source()))
	h.kin.first, h.kin.told, h.kin.own = nil, nil, nil
	for id, started := range own {
		t.started(id, run{h, started})
	}
}

// settle sets the host aside or takes it back, as it stands now. The caller holds mu.
func (t *twins) settle(h *watchedHost) {
	aside := h.kin.first != nil && h.kin.first.kin.current
	if h.kin.aside == aside {
		return
	}
	h.kin.aside = aside
	h.kin.sink.askers.SetAside(aside)
	h.kin.sink.Feed.SetAside(aside)
}

// aside returns the engines whose hosts are set aside.
func (t *twins) aside() (all []engine.Source) {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.hosts {
		if h.kin.aside {
			all = append(all, h.Source())
		}
	}
	return all
}
