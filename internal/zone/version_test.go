package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// replica is what a secondary has of a zone: the serial and the records but the SOA.
type replica struct {
	serial  uint32
	records map[string]bool
}

// whole is a replica by AXFR.
func whole(v *Version, apex string) replica {
	r := replica{v.Serial(apex), map[string]bool{}}
	v.Walk(apex, func(rrs []dns.RR) {
		for _, rr := range rrs {
			if rr.Header().Rrtype != dns.TypeSOA {
				r.records[rr.String()] = true
			}
		}
	})
	return r
}

// follow has the replica take the version's changes over as RFC 1995 says, or the whole zone if need be. It returns what is wrong
// with them.
func (r *replica) follow(v *Version, apex string) (increments bool, wrong string) {
	rrs := v.Since(apex, r.serial)
	if rrs == nil {
		*r = whole(v, apex)
		return false, ""
	}
	soas, records := 0, maps.Clone(r.records)
	for _, rr := range rrs {
		if soa, ok := rr.(*dns.SOA); ok {
			want := v.Serial(apex)
			if soas++; soas == 2 {
				want = r.serial
			}
			if soa.Serial != want {
				return true, fmt.Sprintf("SOA %d has serial %d, want %d", soas, soa.Serial, want)
			}
			continue
		}
		has := records[rr.String()]
		switch {
		case soas == 2 && has:
			delete(records, rr.String())
		case soas == 3 && !has:
			records[rr.String()] = true
		default:
			return true, fmt.Sprintf("after SOA %d, there before is %v: %s", soas, has, rr)
		}
	}
	if soas != 4 {
		return true, fmt.Sprintf("%d SOA records, want 4", soas)
	}
	r.serial, r.records = v.Serial(apex), records
	return true, ""
}

// anyEntry is one of few containers of two hosts, whose names, addresses and records are few: they win and lose names to each other.
func anyEntry(r *rand.Rand, host container.HostID, n int) *Entry {
	one := func(all ...string) string { return all[r.IntN(len(all))] }
	id := fmt.Sprint("c", n)
	addrs := one("n=172.17.0.2", "n=172.17.0.3", "lan=192.0.2.9", "n=172.17.0.4 m=10.0.0.4", "n=fd00::4", "")
	names := []string{id + ".docker./name", one("www.docker.", "c0.docker./name", "c1.docker./twin", "*.w.docker."), one("x.c1.docker.", "db.shop.docker./project", "deep.sub.docker.")}
	e := entry(id, r.IntN(9), addrs, names...)
	if r.IntN(3) == 0 {
		service(e, one("_http._tcp.www.docker.", "_http._tcp."+id+".docker."), "c0.docker. "+id+".docker. www.docker.", 80, "0.0.0.0:8080")
	}
	if r.IntN(4) == 0 {
		with(e, one("www.docker. 30 TXT one", "txt.docker. 9 TXT one", "alias.docker. 30 CNAME www.docker.", "www.docker. 7 A 192.0.2.77"))
	}
	if r.IntN(3) == 0 {
		published(e, one("0.0.0.0", "192.0.2.1", "10.99.0.1"))
	}
	e.Sick, e.Draining, e.RequireWell = r.IntN(6) == 0, r.IntN(6) == 0, r.IntN(6) == 0
	if e.OwnTTL = r.IntN(5) == 0; e.OwnTTL {
		e.TTL = 3
	}
	if r.IntN(6) == 0 {
		held1(e)
	}
	return atHost(host, e)
}

// journaled has anything happen to containers of one host or two. After each change, secondaries that follow always, or now and then,
// must have what a whole transfer gives, and the serial must grow if that has changed and only then.
func journaled(t *testing.T, seed uint64, steps int, hosts ...container.HostID) (increments, wholes int) {
	r := rand.New(rand.NewPCG(seed, uint64(len(hosts))))
	zones := []string{"docker.", "sub.docker.", "17.172.in-addr.arpa."}
	s := NewStore(Config{Zones: append([]string{"."}, zones...), TTL: 30, NegativeTTL: 7})
	views := []View{{Asker: Elsewhere, Server: &server{publish: true}}, {Server: &server{}}, {Hosts: hosts[:1], Server: &server{publish: true}}}
	view := views[r.IntN(len(views))]
	v := s.Publish(view)
	now := map[string]replica{}
	secondaries := map[string][]replica{}
	for _, apex := range zones {
		now[apex] = whole(v, apex)
		secondaries[apex] = []replica{now[apex], now[apex], now[apex]}
	}
	for range steps {
		host := hosts[r.IntN(len(hosts))]
		switch r.IntN(20) {
		case 0:
			s.SetHost(host, HostState(r.IntN(4)))
		case 1:
			view = views[r.IntN(len(views))]
		case 2: // the host has none any more
			var changes []Change
			for n := range 5 {
				changes = append(changes, Change{Key: Key{host, fmt.Sprint("c", n)}})
			}
			s.Apply(changes)
		default:
			var changes []Change
			for range 1 + r.IntN(3) {
				e := anyEntry(r, host, r.IntN(5))
				c := Change{Key: e.Key, Entry: e}
				if r.IntN(3) == 0 {
					c.Entry = nil
				}
				changes = append(changes, c)
			}
			s.Apply(changes)
		}
		if r.IntN(3) == 0 {
			continue // more is published together
		}
		v = s.Publish(view)
		for _, apex := range zones {
			before := now[apex]
			now[apex] = whole(v, apex)
			if grows := newer(now[apex].serial, before.serial); grows != !maps.Equal(now[apex].records, before.records) || !grows && now[apex].serial != before.serial {
				t.Fatalf("seed %d: %s: serial %d after %d, records\n%s\nafter\n%s", seed, apex, now[apex].serial, before.serial, now[apex], before)
			}
			for i := range secondaries[apex] {
				sec := &secondaries[apex][i]
				if sec.serial == now[apex].serial || r.IntN(i+1) > 0 {
					continue
				}
				inc, wrong := sec.follow(v, apex)
				if wrong != "" {
					t.Fatalf("seed %d: %s: secondary %d: %s", seed, apex, i, wrong)
				}
				if !maps.Equal(sec.records, now[apex].records) {
					t.Fatalf("seed %d: %s: secondary %d has\n%s\nwant\n%s", seed, apex, i, sec, now[apex])
				}
				if inc {
					increments++
				} else {
					wholes++
				}
			}
			if size := v.zones[apex].size; size != octets(packedAll(v, apex)) {
				t.Fatalf("seed %d: %s: size %d, want %d", seed, apex, size, octets(packedAll(v, apex)))
			}
		}
	}
	return increments, wholes
}

func packedAll(v *Version, apex string) (all []string) {
	v.Walk(apex, func(rrs []dns.RR) {
		if rrs[0].Header().Rrtype != dns.TypeSOA {
			all = append(all, packed(rrs)...)
		}
	})
	return all
}

func (r replica) String() string {
	return fmt.Sprint(r.serial, "\n", strings.Join(slices.Sorted(maps.Keys(r.records)), "\n"))
}

// TestDelegation checks that a transfer leads to the zones inside, and has nothing that lies below their names.
func TestDelegation(t *testing.T) {
	s := NewStore(Config{Zones: []string{".", "docker.", "sub.docker.", "deep.x.sub.docker.", "10.in-addr.arpa.", "1.10.in-addr.arpa."}, TTL: 30, NegativeTTL: 7})
	s.Delegate("other.docker.") // is another store's
	s.Apply(add(entry("web", 0, "n=10.1.0.2 n=10.2.0.2", "web.docker./name", "web.sub.docker.", "web.deep.x.sub.docker.", "web.other.docker.", "other.docker.", "another.docker.")))
	v := s.Publish(View{Server: server{}})
	for apex, want := range map[string]string{
		"docker.":            `another.docker. A, docker. NS, ns.dns.docker. A, ns.dns.other.docker. A, ns.dns.sub.docker. A, other.docker. NS, sub.docker. NS, web.docker. A`,
		"sub.docker.":        `deep.x.sub.docker. NS, ns.dns.deep.x.sub.docker. A, ns.dns.sub.docker. A, sub.docker. NS, web.sub.docker. A`,
		"deep.x.sub.docker.": `deep.x.sub.docker. NS, ns.dns.deep.x.sub.docker. A, web.deep.x.sub.docker. A`,
		"10.in-addr.arpa.":   `1.10.in-addr.arpa. NS, 10.in-addr.arpa. NS, 2.0.2.10.in-addr.arpa. PTR, ns.dns.1.10.in-addr.arpa. A, ns.dns.10.in-addr.arpa. A`,
	} {
		var got []string
		for text := range whole(v, apex).records {
			f := strings.Fields(text)
			got = append(got, f[0]+" "+f[3])
		}
		slices.Sort(got)
		if got := strings.Join(slices.Compact(got), ", "); got != want {
			t.Errorf("%s:\n%s, want\n%s", apex, got, want)
		}
	}
}

// TestJournal has many secondaries follow by increments, and some by whole zones.
func TestJournal(t *testing.T) {
	increments, wholes := 0, 0
	for seed := range uint64(60) {
		hosts := []container.HostID{"a", "b"}[:1+seed%2]
		i, w := journaled(t, seed, 150, hosts...)
		increments, wholes = increments+i, wholes+w
	}
	t.Logf("%d increments, %d whole zones", increments, wholes)
	if increments < 1000 || wholes == 0 {
		t.Error("too few of one kind")
	}
}

// TestJournalBounds has more happen than the journal holds, and more than the zone has.
func TestJournalBounds(t *testing.T) {
	s := NewStore(Config{Zones: []string{"docker."}, TTL: 30, NegativeTTL: 7})
	view := View{Server: server{}}
	first := s.Publish(view).Serial("docker.")
	long := strings.Repeat("x", 200)
	s.Apply(add(with(entry("large", 0, "", "large.docker./name"), "large.docker. 30 TXT "+strings.Repeat(long+" ", 3))))
	var half uint32
	for n := range 2 * maxSteps {
		s.Apply(add(with(entry("web", 0, "n=172.17.0.2", "web.docker./name"), fmt.Sprintf("web.docker. 30 TXT %d %s %s", n, long, long))))
		v := s.Publish(view)
		if n == 2*maxSteps-3 {
			half = v.Serial("docker.")
		}
		if j := v.zones["docker."].journal; len(j.steps) > maxSteps || j.octets > maxJournalOctets {
			t.Fatalf("%d steps of %d octets", len(j.steps), j.octets)
		}
	}
	v := s.Publish(view)
	if rrs := v.Since("docker.", first); rrs != nil {
		t.Errorf("%d records since a serial that is too old", len(rrs))
	}
	if rrs := v.Since("docker.", half); len(rrs) != 6 { // 4 SOA, and a record each
		t.Errorf("not condensed: %v", rrs)
	}
	s.Apply([]Change{gone("large"), gone("web")})
	v = s.Publish(view)
	if rrs := v.Since("docker.", half); rrs != nil {
		t.Errorf("the whole zone is smaller than %v", rrs)
	}
}

// TestJournalMemory fills a journal with containers' records, and looks at what it takes of the heap.
func TestJournalMemory(t *testing.T) {
	const most = 4 << 20
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var j journal
	for n := 0; len(j.steps) == n; n++ { // until one has gone
		var d difference
		for i := range 8 {
			r := fmt.Sprintf("name%04d.project.docker.%020d", i, n) // as long as most
			d.added, d.removed = append(d.added, r), append(d.removed, r+"x")
		}
		j = j.append(step{uint32(n), d})
	}
	took := int64(heap() - before)
	t.Logf("%d steps of %d octets take %d octets of the heap", len(j.steps), j.octets, took)
	if took > most || j.octets < maxJournalOctets/2 {
		t.Errorf("want %d at most, for %d octets", most, maxJournalOctets)
	}
	runtime.KeepAlive(j)
}

// FuzzJournal is the same with seeds that the fuzzer chooses.
func FuzzJournal(f *testing.F) {
	f.Add(uint64(1), false)
	f.Add(uint64(2), true)
	f.Fuzz(func(t *testing.T, seed uint64, two bool) {
		hosts := []container.HostID{"a"}
		if two {
			hosts = append(hosts, "b")
		}
		journaled(t, seed, 100, hosts...)
	})
}
