package catalog

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// pair is two hosts, each of which is fed to a catalog of its own and to one that they share.
type pair struct {
	*clock
	hosts  []container.HostID
	alone  []*Feed // by host
	shared []*Feed
	zones  []*zone.Store // of the catalogs in alone
	both   *zone.Store
	swarms []*Swarm // of all catalogs
	cat    *Catalog // that they share
}

func newPair() *pair {
	p := &pair{clock: newClock(), hosts: []container.HostID{here, there}}
	// One is called as a project is, which both have.
	name := func(host container.HostID) string {
		return map[container.HostID]string{here: "blog", there: "nas"}[host]
	}
	p.cat, p.both = newCatalog(p.clock, hold)
	p.cat.hostName = name
	for i, host := range p.hosts {
		alone, zones := newCatalog(p.clock, hold)
		alone.hostName = name
		p.alone, p.zones = append(p.alone, alone.Feed(host)), append(p.zones, zones)
		p.shared = append(p.shared, p.cat.Feed(host))
		watched := [2]container.HostID{}
		watched[i] = host
		p.begin(alone.Swarm(), watched)
	}
	p.begin(p.cat.Swarm(), [2]container.HostID(p.hosts))
	return p
}

// begin tells a catalog of a Swarm of both hosts, of which those are watched that are given.
func (p *pair) begin(s *Swarm, watched [2]container.HostID) {
	p.swarms = append(p.swarms, s)
	s.Nodes(containertest.Nodes(watched[0], watched[1]))
	s.Synced()
}

// serve tells all catalogs of a service whose tasks are containers of the hosts, on networks that nobody else is on.
func (p *pair) serve(r *rand.Rand) {
	name := pick(r, possibleServices...)
	s := &container.Service{
		Swarm: "s", ID: "service-" + name, Name: name, RoundRobin: r.IntN(2) == 0, Replicas: r.IntN(3),
		Networks: []container.ServiceNetwork{{ID: "over", Name: "over", Aliases: pick(r, nil, []string{"mirror"})}},
	}
	for n := range r.IntN(4) {
		node := pick(r, containertest.Manager, containertest.Worker)
		task := containertest.Task(fmt.Sprint(s.ID, n), n+1, node, "")
		task.Container = facts(pick(r, possibleNames...), "").ID
		s.Tasks = append(s.Tasks, task)
	}
	change := container.ServiceChange{ID: s.ID, Service: s}
	if r.IntN(4) == 0 {
		change.Service = nil
	}
	for _, to := range p.swarms {
		to.Apply([]container.ServiceChange{change})
	}
}

// A host has five containers, whose names, networks and addresses are few: those of two hosts are called alike, as are several of
// one host.
const containers = 5

var (
	possibleNames    = []string{"web", "db", "shop_1", "db.shop", "c4"}
	possibleProjects = []string{"", "shop", "blog"}
	possibleNetworks = []string{"a", "b"}
	possibleServices = []string{"svc", "s_2"} // which nobody else is called
)

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// possible returns facts that a container of a host could have. Some of the addresses are both hosts'.
func possible(r *rand.Rand, host, id int, started time.Time) *container.Container {
	c := facts(possibleNames[id], "")
	if r.IntN(4) == 0 {
		c.Name = pick(r, possibleNames...)
	}
	c.Hostname = pick(r, c.ShortID(), "db", "www")
	c.Paused = r.IntN(4) == 0
	c.Started = pick(r, time.Time{}, started)
	c.Labels = map[string]string{}
	if project := pick(r, possibleProjects...); project != "" {
		c.Labels["com.docker.compose.project"], c.Labels["com.docker.compose.service"] = project, pick(r, "web", "db")
	}
	if label := pick(r, "", "", "www, x.web", "*.apps", "only"+c.ShortID(), "b..d"); label != "" {
		c.Labels["coredns.dockerdiscovery.host"] = label
	}
	if r.IntN(8) == 0 {
		c.Labels["coredns.dockerdiscovery.enable"] = "false"
	}
	switch joined := facts(pick(r, possibleNames...), ""); r.IntN(6) {
	case 0:
		c.NetworkMode = "container:" + joined.ID
	case 1:
		c.NetworkMode = "container:" + joined.Name
	case 2:
		c.NetworkMode = "host"
	default:
		for i, network := range possibleNetworks {
			if r.IntN(2) == 0 {
				ip := netip.AddrFrom4([4]byte{10, byte(i), 0, byte(2 + 2*host + r.IntN(4))})
				c.Endpoints = append(c.Endpoints, container.Endpoint{Network: network, Addrs: []netip.Addr{ip}, Aliases: pick(r, nil, []string{"db"}, []string{"cache", "web"})})
			}
		}
	}
	return c
}

// change returns a change that the engine of a host could tell.
func (p *pair) change(r *rand.Rand, host, id int) container.Change {
	c := possible(r, host, id, p.clock.now)
	since := p.clock.now.Add(-time.Duration(r.IntN(15)) * time.Second)
	change := container.Change{ID: c.ID, Cause: pick(r, "list", "start", "die")}
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		change.Container = c
	case 4, 5:
		change.Gone = r.IntN(2) == 0
	case 6, 7:
		change.Created, change.Since = c, since
	case 8:
		change.Last, change.Since, change.Gone = c, since, r.IntN(2) == 0
	default:
		change.Unread = errors.New("unread")
	}
	return change
}

// step has something happen on one of the hosts.
func (p *pair) step(what, of byte, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	host := int(of) % 2
	feeds := []*Feed{p.alone[host], p.shared[host]}
	id := int(of/2) % containers
	switch what % 16 {
	case 0: // other networks
		h := container.Host{}
		for _, name := range possibleNetworks {
			compose := container.ComposeNetwork{Project: "shop", Short: pick(r, "", "net")}
			h.Networks = append(h.Networks, container.Network{ID: fmt.Sprint(name, host), Name: name, Spans: r.IntN(4) == 0, Compose: compose})
		}
		for _, f := range feeds {
			f.Host(h)
		}
	case 1:
		for _, f := range feeds {
			f.Synced()
		}
	case 2:
		current := r.IntN(2) == 0
		for _, f := range feeds {
			f.Current(current, p.clock.now)
		}
	case 6, 7:
		p.serve(r)
	case 3, 4, 5:
		p.wait(pick(r, time.Second, 4*time.Second, hold, startup, container.KeepNames, forget))
	default:
		changes := []container.Change{p.change(r, host, id)}
		for r.IntN(3) == 0 {
			changes = append(changes, p.change(r, host, r.IntN(containers)))
		}
		for _, f := range feeds {
			f.Apply(changes)
		}
	}
}

// check compares each host's part of the shared catalog with what the host has alone, and the answers to who is there: for names
// that the other host's containers have no part in, and to containers for what is on their own networks.
func (p *pair) check(t *testing.T) {
	t.Helper()
	for i, host := range p.hosts {
		if diff := differ(p.alone[i], p.shared[i]); diff != "" {
			t.Fatalf("beside another host %s has %s", host, diff)
		}
		others := p.alone[1-i].claimed()
		for name := range p.alone[i].claimed() {
			own := !related(name, others)
			for _, view := range views(host) {
				if !own && !p.alone[i].near(name, &view) {
					continue
				}
				for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
					want, got := look(p.zones[i], name, qtype, view), look(p.both, name, qtype, view)
					if want != got && (own || !negative(want) || !negative(got)) {
						t.Fatalf("beside another host %s's %s is %s, want %s, for %+v", host, name, got, want, view)
					}
				}
			}
		}
		for _, service := range possibleServices {
			for _, name := range []string{service + ".docker.", "tasks." + service + ".docker.", "1." + service + ".docker.", "mirror.docker."} {
				for _, view := range views(host) {
					if want, got := look(p.zones[i], name, dns.TypeA, view), look(p.both, name, dns.TypeA, view); want != got && !(negative(want) && negative(got)) {
						t.Fatalf("beside another host %s's %s is %s, want %s, for %+v", host, name, got, want, view)
					}
				}
			}
		}
		p.checkAddresses(t, i)
		p.checkPTR(t, i)
	}
	want := p.alone[0].cat.Skipped()
	maps.Copy(want, p.alone[1].cat.Skipped())
	if got := p.cat.Skipped(); !maps.Equal(got, want) {
		t.Fatalf("%v skipped, want %v", got, want)
	}
	for i, f := range slices.Concat(p.alone, p.shared) {
		if got, want := f.cat.LeftOut()[f.host], f.countLeftOut(); got != want {
			t.Fatalf("feed %d counts %+v left out, want %+v", i, got, want)
		}
	}
	if got, want := p.cat.Complete(), p.alone[0].cat.Complete() && p.alone[1].cat.Complete(); got != want {
		t.Fatalf("complete is %t, want %t", got, want)
	}
}

// countLeftOut counts who is left out as what is known of each container has it.
func (f *Feed) countLeftOut() (l LeftOut) {
	for _, e := range f.explain(func(string, *history, *listing) bool { return true }) {
		if e.LeftOut != naming.LetIn {
			l.By[e.LeftOut]++
		}
		if e.Unread != nil {
			l.Unread++
		}
	}
	return l
}

// checkAddresses checks that whoever is on the host gets the addresses of its containers alone, whichever host has the name.
func (p *pair) checkAddresses(t *testing.T, i int) {
	t.Helper()
	own := p.alone[i].addresses()
	for _, ip := range zone.Loopback { // of who uses the host's network
		own[ip] = true
	}
	for _, names := range []map[string]bool{p.alone[0].claimed(), p.alone[1].claimed()} {
		for name := range names {
			for _, view := range views(p.hosts[i]) {
				for text := range strings.FieldsSeq(look(p.both, name, dns.TypeA, view)) {
					if ip, err := netip.ParseAddr(text); err == nil && !own[ip] {
						t.Fatalf("%s is %s, which is not on %s, for %+v", name, ip, p.hosts[i], view)
					}
				}
			}
		}
	}
}

// checkPTR checks that an address which only the host's containers have resolves to names of theirs.
func (p *pair) checkPTR(t *testing.T, i int) {
	t.Helper()
	others := p.alone[1-i].addresses()
	own := p.alone[i].claimed()
	for _, l := range p.alone[i].cat.Swarm().services {
		for _, e := range l.entries {
			for _, c := range e.Claims {
				own[c.Name] = true
			}
		}
	}
	for ip := range p.alone[i].addresses() {
		if others[ip] {
			continue
		}
		name, err := dns.ReverseAddr(ip.String())
		if err != nil {
			t.Fatal(err)
		}
		for _, view := range views(p.hosts[i]) {
			for target := range strings.FieldsSeq(look(p.both, name, dns.TypePTR, view)) {
				if target != "none" && target != "NXDOMAIN" && !own[target] {
					t.Fatalf("%s of %s is %s, which is no name there", ip, p.hosts[i], target)
				}
			}
		}
	}
}

// claimed returns the names that the host and its containers claim.
func (f *Feed) claimed() map[string]bool {
	names := map[string]bool{f.networks.HostName() + ".docker.": true}
	for _, k := range f.listings {
		if k.entry != nil {
			for _, c := range k.entry.Claims {
				names[c.Name] = true
			}
		}
	}
	return names
}

// negative reports whether the answer has no records. Whether the name exists may depend on others that have it.
func negative(answer string) bool {
	return answer == "none" || answer == "NXDOMAIN" || answer == "not ready"
}

// near reports whether a container claims the name that is on a network of the container that asks.
func (f *Feed) near(name string, v *zone.View) bool {
	for _, k := range f.listings {
		if k.entry == nil {
			continue
		}
		for _, c := range k.entry.Claims {
			networks := k.entry.Networks
			if c.Network != (container.NetworkID{}) {
				networks = []container.NetworkID{c.Network}
			}
			if c.Name == name && slices.ContainsFunc(networks, func(n container.NetworkID) bool { return slices.Contains(v.Networks, n) }) {
				return true
			}
		}
	}
	return false
}

// addresses returns those of the host's containers. A service's task may be one that has no names itself.
func (f *Feed) addresses() map[netip.Addr]bool {
	ips := map[netip.Addr]bool{}
	for _, k := range f.listings {
		if k.facts != nil {
			for _, ep := range k.facts.Endpoints {
				for _, ip := range ep.Addrs {
					ips[ip] = true
				}
			}
		}
		if k.entry != nil {
			for _, a := range k.entry.Addresses {
				ips[a.IP] = true
			}
		}
	}
	return ips
}

// related reports whether the name, or one above or below it, is among the names: rights to these may count for it.
func related(name string, names map[string]bool) bool {
	plain := func(name string) string { return strings.TrimPrefix(name, "*.") }
	for other := range names {
		if a, b := plain(name), plain(other); dns.IsSubDomain(a, b) || dns.IsSubDomain(b, a) {
			return true
		}
	}
	return false
}

// views returns who may ask on the host: itself, and containers.
func views(host container.HostID) []zone.View {
	all := []zone.View{{Hosts: []container.HostID{host}}}
	for _, project := range possibleProjects {
		for n := range len(possibleNetworks) + 1 {
			v := zone.View{Asker: zone.Container, Hosts: []container.HostID{host}, Project: project, Service: "web", Isolate: n == 0 && project != ""}
			for _, network := range possibleNetworks[:n] {
				v.Networks = append(v.Networks, container.LocalNetwork(host, network))
			}
			all = append(all, v)
		}
	}
	return all
}

// FuzzTwoHosts has anything happen on two hosts whose containers have the same IDs, names, networks and addresses, and compares
// the catalog that they share with catalogs that have one host each. Some of the containers are tasks of a Swarm's services.
func FuzzTwoHosts(f *testing.F) {
	r := rand.New(rand.NewPCG(14, 2))
	for range 12 {
		data := make([]byte, 200)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPair()
		for step := range slices.Chunk(data[:min(len(data), 400)], 4) {
			if len(step) == 4 {
				p.step(step[0], step[1], uint64(step[2])<<8|uint64(step[3]))
				p.check(t)
			}
		}
	})
}
