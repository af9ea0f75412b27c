package zone

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// twin is another host with containers of the same names, IDs, networks and addresses. Nothing that a view of the one host
// gets may change by that, nor by names that both hosts have, so each look-up of the tests is made beside it too.
const twin container.HostID = "twin"

// hostNames are how both hosts are called.
var hostNames = map[container.HostID]string{"": "named-this", twin: "named-twin"}

// hostEntry is what a host of the name contributes itself.
func hostEntry(host container.HostID, name string, zones ...string) *Entry {
	e := &Entry{Key: Key{Host: host}, Name: name, HostNetwork: true}
	for _, z := range zones {
		e.Claims = append(e.Claims, Claim{Name: name + "." + strings.TrimPrefix(z, "."), Rank: ByHost})
	}
	return e
}

// below returns the entry with its names below its host's beside its own, and its ports there.
func (s *Store) below(hostName string, e *Entry) *Entry {
	named := *e
	named.Claims = slices.Clone(e.Claims)
	for _, c := range e.Claims {
		if o := s.origins.match(c.Name); c.Rank == ByName && o != nil {
			name := strings.TrimSuffix(c.Name, o.name) + "." + hostName + "." + strings.TrimPrefix(o.name, ".")
			c.Name, c.Rank, c.Scoped = strings.ReplaceAll(name, "..", "."), ByHost, o.root
			named.Claims = append(named.Claims, c)
		}
	}
	return &named
}

// atHost returns the entry as that of another host.
func atHost(host container.HostID, e *Entry) *Entry {
	at := func(n container.NetworkID) container.NetworkID {
		if n == noNetwork {
			return n
		}
		return container.LocalNetwork(host, n.String())
	}
	moved := *e
	moved.Host = host
	moved.Networks = nil
	for _, n := range e.Networks {
		moved.Networks = append(moved.Networks, at(n))
	}
	moved.Addresses = nil
	for _, a := range e.Addresses {
		moved.Addresses = append(moved.Addresses, Address{a.IP, at(a.Network), a.Reach})
	}
	moved.Claims = slices.Clone(e.Claims)
	for i := range moved.Claims {
		moved.Claims[i].Network = at(moved.Claims[i].Network)
	}
	return &moved
}

var twins = struct {
	sync.Mutex
	of  *Snapshot
	has *Store
}{}

// twinOf returns a store that has what the snapshot's has, and a twin's; nil if the snapshot is not the present one, or one of
// very many containers.
func twinOf(s *Snapshot) *Store {
	const most = 100
	twins.Lock()
	defer twins.Unlock()
	if twins.of == s {
		return twins.has
	}
	if !s.store.mu.TryLock() { // somebody writes
		return nil
	}
	defer s.store.mu.Unlock()
	if s != s.store.Snapshot() || len(s.store.entries) > most || len(s.store.hosts) > 1 {
		return nil
	}
	both := NewStore(s.store.config)
	var changes []Change
	for host, name := range hostNames {
		var forward []string
		for _, z := range s.store.config.Zones {
			if !IsReverse(z) {
				forward = append(forward, z)
			}
		}
		changes = append(changes, add(hostEntry(host, name, forward...))...)
	}
	for _, e := range s.store.entries {
		changes = append(changes, add(both.below(hostNames[""], e), both.below(hostNames[twin], atHost(twin, e)))...)
	}
	both.Apply(changes)
	for host, state := range s.hosts {
		both.SetHost(host, state)
		both.SetHost(twin, state)
	}
	twins.of, twins.has = s, both
	return both
}

// comparable reports whether the view must get the same beside a twin. Who is elsewhere has no host of its own: bare names and
// addresses of both hosts mean nothing to it.
func (v *View) comparable(s *Snapshot, name string) bool {
	if v.Asker != Elsewhere {
		return true
	}
	bare := false
	s.names.walk(func(n *node) {
		bare = bare || slices.ContainsFunc(n.claims, func(c claimant) bool { return c.claim.Bare })
	})
	return !bare && !isReverseName(name)
}

// unreached reports whether it is a container that asks and reaches none of those whose name it is: then the twin's may answer.
func (q *Query) unreached(s *Snapshot, r *Result) bool {
	if q.View.Asker != Container || r.Outcome != NoData {
		return false
	}
	n, _ := s.find(q.Name, &q.View)
	return q.Type == dns.TypeSRV || len(n.reach(s, nil, &q.View)) == 0
}

// beside checks that the query gets the same beside a twin.
func beside(s *Snapshot, q Query, want *Result) {
	both := twinOf(s)
	if both == nil || q.View.Hosts != nil || !q.View.comparable(s, q.Name) || q.unreached(s, want) {
		return
	}
	if q.View.Asker != Elsewhere {
		q.View.Hosts = []container.HostID{""}
	}
	var got Result
	both.Snapshot().Lookup(&q, &got)
	if got, want := written(&got), written(want); got != want {
		panic(fmt.Sprintf("%s %s, asker %d on %v, beside a twin host:\n%s\nalone:\n%s", q.Name, dns.TypeToString[q.Type], q.View.Asker, q.View.Networks, got, want))
	}
}

// written is all of a result but for the serial.
func written(r *Result) string {
	out := []string{fmt.Sprint(r.Outcome, " ", r.Zone, " ", r.Target)}
	for _, rr := range slices.Concat(r.Answer, r.Ns, r.Extra) {
		if soa, ok := rr.(*dns.SOA); ok {
			copied := *soa
			copied.Serial = 0
			rr = &copied
		}
		out = append(out, rr.String())
	}
	return strings.Join(out, "\n")
}

// explained checks that an explanation comes with the same answer, and has a reason for each claimant.
func explained(s *Snapshot, q Query, want *Result) {
	var got Result
	verdicts := s.Explain(&q, &got)
	if got, want := written(&got), written(want); got != want {
		panic(fmt.Sprintf("%s %s, asker %d, explained:\n%s\nanswered:\n%s", q.Name, dns.TypeToString[q.Type], q.View.Asker, got, want))
	}
	n := s.names.get(q.Name)
	if n == nil {
		return
	}
	for _, c := range n.claims {
		i := slices.IndexFunc(verdicts, func(v Verdict) bool { return v.Entry == c.entry })
		if i < 0 {
			panic(fmt.Sprintf("%s, asker %d: no reason for %s: %v", q.Name, q.View.Asker, c.entry.Name, verdicts))
		}
		if v := verdicts[i]; (v.Reason == LostTo) != (v.Winner != nil) {
			panic(fmt.Sprintf("%s, asker %d: %+v", q.Name, q.View.Asker, v))
		}
	}
}
