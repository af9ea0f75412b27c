package convergence

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// What the engine says, and the records that follow from it by the plugin's README. None of
// the product's own code is used here, so that it can't be wrong in the same way.

// mark is the label on a seed's containers; its value is the seed's suffix.
const mark = "dockerdiscovery.convergence"

// host is an engine's, with its containers.
type host struct {
	label string       // by which names call it; "" if none does
	addrs []netip.Addr // at which it is reached from elsewhere
	away  bool         // the plugin must know by now that it can't ask the engine
}

// facts are those about one running container.
type facts struct {
	on                 *host
	id, name, hostname string
	created            time.Time
	well               bool
	endpoints          []endpoint
	published          []netip.Addr // the host's addresses at which it is reached from elsewhere: unspecified for all of a family
}

type endpoint struct {
	network string
	aliases []string
	addrs   []netip.Addr
}

// truth reads the API of a host's engine on a unix socket.
type truth struct {
	on     *host
	client *http.Client
	suffix string
}

func newTruth(on *host, socket, suffix string) *truth {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &truth{on, &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 10 * time.Second}, suffix}
}

func (tr *truth) get(path string, into any) (found bool, err error) {
	r, err := tr.client.Get("http://engine" + path)
	if err != nil {
		return false, err
	}
	defer r.Body.Close()
	switch r.StatusCode {
	case http.StatusOK:
		return true, json.NewDecoder(r.Body).Decode(into)
	case http.StatusNotFound:
		return false, nil
	default:
		return false, fmt.Errorf("%s: %s", path, r.Status)
	}
}

// running returns the facts of the seed's running containers, from a fresh list and inspects.
func (tr *truth) running() ([]facts, error) {
	var list []struct {
		ID     string `json:"Id"`
		Labels map[string]string
	}
	if _, err := tr.get("/containers/json?filters="+url.QueryEscape(`{"status": ["running", "paused"]}`), &list); err != nil { // Podman leaves out the paused
		return nil, err
	}
	var all []facts
	for _, l := range list {
		if l.Labels[mark] != tr.suffix {
			continue
		}
		f, runs, err := tr.inspect(l.ID)
		if err != nil {
			return nil, err
		}
		if runs {
			all = append(all, f)
		}
	}
	return all, nil
}

func (tr *truth) inspect(id string) (f facts, runs bool, err error) {
	var c struct {
		ID      string `json:"Id"`
		Name    string
		Created time.Time
		State   struct {
			Running, Paused, Restarting bool
			Health                      struct{ Status string }
		}
		Config          struct{ Hostname string }
		NetworkSettings struct {
			Ports    map[string][]struct{ HostIP string }
			Networks map[string]struct {
				Aliases                      []string
				IPAddress, GlobalIPv6Address string
			}
		}
	}
	if found, err := tr.get("/containers/"+id+"/json", &c); err != nil || !found || !c.State.Running || c.State.Restarting {
		return facts{}, false, err
	}
	f = facts{
		on: tr.on, id: c.ID, name: strings.TrimPrefix(c.Name, "/"), hostname: c.Config.Hostname, created: c.Created,
		well: !c.State.Paused && c.State.Health.Status != "unhealthy",
	}
	for name, n := range c.NetworkSettings.Networks {
		ep := endpoint{network: name, aliases: n.Aliases}
		for _, text := range []string{n.IPAddress, n.GlobalIPv6Address} {
			if ip, err := netip.ParseAddr(text); err == nil {
				ep.addrs = append(ep.addrs, ip)
			}
		}
		f.endpoints = append(f.endpoints, ep)
	}
	for _, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if ip, err := netip.ParseAddr(b.HostIP); err == nil {
				f.published = append(f.published, ip)
			}
		}
	}
	return f, true, nil
}

// zone is where all names lie.
const zone = "docker."

// right is by what right a name is claimed, the strongest first. All but the last are
// exclusive on their host.
type right int

const (
	ownHost right = iota
	ownName
	ownID
	ownTwin
	shared
)

// claim is one to a name, relative to the zone, with the addresses on one network or on all.
type claim struct {
	name    string
	right   right
	network string // "" is all
	bare    bool   // an alias without its network, or a host name
}

// claims returns what the container claims: of one name only by the best right, and not for
// single networks what it claims for all.
func (f *facts) claims() []claim {
	short := f.id[:12]
	all := []claim{{name: f.name, right: ownName}, {name: short, right: ownID}}
	if f.on.label != "" {
		all = append(all, claim{name: f.name + "." + f.on.label, right: ownHost})
	}
	if f.hostname != "" {
		all = append(all, claim{name: f.hostname, right: shared, bare: true})
	}
	for _, ep := range f.endpoints {
		all = append(all, claim{name: f.name + "." + ep.network, right: shared, network: ep.network})
		for _, alias := range ep.aliases {
			if alias != short {
				all = append(all,
					claim{name: alias, right: shared, network: ep.network, bare: true},
					claim{name: alias + "." + ep.network, right: shared, network: ep.network})
			}
		}
	}
	for _, c := range slices.Clone(all) {
		if strings.Contains(c.name, "_") {
			c.name = strings.ReplaceAll(c.name, "_", "-")
			if c.right <= ownName {
				c.right = ownTwin
			}
			all = append(all, c)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(c claim) bool {
		return slices.ContainsFunc(all, func(o claim) bool {
			return o.name == c.name && (o.right < c.right || o.right == c.right && o.network == "" && c.network != "")
		})
	})
}

func (f *facts) addrs(network string) []netip.Addr {
	var all []netip.Addr
	for _, ep := range f.endpoints {
		if network == "" || network == ep.network {
			all = append(all, ep.addrs...)
		}
	}
	return all
}

// outside returns where the container's ports are reached at its host.
func (f *facts) outside() []netip.Addr {
	var all []netip.Addr
	for _, p := range f.published {
		for _, ip := range f.on.addrs {
			if p.IsUnspecified() && p.Is4() == ip.Is4() {
				all = append(all, ip)
			}
		}
	}
	return all
}

// claimed is a claim with its claimant.
type claimed struct {
	claim
	by *facts
}

// byName returns who claims each name.
func byName(all []facts) map[string][]claimed {
	names := map[string][]claimed{}
	for i := range all {
		for _, c := range all[i].claims() {
			names[c.name] = append(names[c.name], claimed{c, &all[i]})
		}
	}
	return names
}

// winners returns the claims that count: those by the best right, and of an exclusive one
// only that of each host's oldest container.
func winners(claims []claimed) []claimed {
	best := claims[0].right
	oldest := map[*host]*facts{}
	for _, c := range claims {
		best = min(best, c.right)
	}
	for _, c := range claims {
		if o := oldest[c.by.on]; c.right == best && (o == nil || c.by.created.Before(o.created)) {
			oldest[c.by.on] = c.by
		}
	}
	return slices.DeleteFunc(slices.Clone(claims), func(c claimed) bool {
		return c.right != best || best != shared && c.by != oldest[c.by.on]
	})
}

// records are address and PTR records, each written as "owner type data".
type records map[string]bool

func (r records) add(owner string, rrtype uint16, data string) {
	r[owner+" "+dns.TypeToString[rrtype]+" "+data] = true
}

func addressType(ip netip.Addr) uint16 {
	if ip.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

// view is who asks: the host itself, or who is elsewhere.
type view struct {
	who       string // before names in messages
	own       *host  // nil for elsewhere
	published bool   // what is reached at another host is answered
	ttls      bool   // the records' TTLs are looked at
}

// The TTL of addresses where TTLs are looked at, and the most that those have whose host is away.
const (
	ttl      = 30
	staleTTL = 5
)

// expected returns the address and PTR records of the containers.
func (v view) expected(all []facts) records {
	out := records{}
	for name, claims := range byName(all) {
		for f, ips := range v.answerers(winners(claims)) {
			for _, ip := range ips {
				out.add(name+"."+zone, addressType(ip), v.data(ip, f.on))
			}
		}
	}
	for i := range all {
		f := &all[i]
		for _, ip := range f.addrs("") {
			if v.means(f, ip, all) {
				out.add(reverse(ip), dns.TypePTR, f.name+"."+zone)
			}
		}
	}
	return out
}

// data is that of the host's record of an address.
func (v view) data(ip netip.Addr, on *host) string {
	switch {
	case !v.ttls:
		return ip.String()
	case on.away:
		return fmt.Sprintf("%s TTL=%d", ip, staleTTL)
	default:
		return fmt.Sprintf("%s TTL=%d", ip, ttl)
	}
}

// means reports whether the address, which the container has, is that container to who asks: on several hosts it may be
// several containers'.
func (v view) means(f *facts, ip netip.Addr, all []facts) bool {
	if v.own != nil {
		return f.on == v.own
	}
	return !slices.ContainsFunc(all, func(o facts) bool { return o.on != f.on && slices.Contains(o.addrs(""), ip) })
}

// together reports whether there is a network on which all claimants have the name. Who is on none
// does not count.
func together(claims []claimed) bool {
	type network struct {
		on   *host
		name string
	}
	on := map[network]map[*facts]bool{}
	all := map[*facts]bool{}
	for _, c := range claims {
		for _, ep := range c.by.endpoints {
			if c.network == "" || c.network == ep.network {
				n := network{c.by.on, ep.network}
				if on[n] == nil {
					on[n] = map[*facts]bool{}
				}
				on[n][c.by], all[c.by] = true, true
			}
		}
	}
	for _, by := range on {
		if len(by) == len(all) {
			return true
		}
	}
	return false
}

// answerers returns those of the claimants who answer, with their addresses: those alone who are preferred: of the asker's host, of a
// host that is not away, well. Bare names on several networks have none, and those of another host where the own has
// the name too. No container has a project.
func (v view) answerers(claims []claimed) map[*facts][]netip.Addr {
	foreign := func(c claimed) bool { return c.by.on != v.own }
	near := slices.DeleteFunc(slices.Clone(claims), foreign)
	weighed := claims
	if len(near) > 0 {
		weighed = near
	}
	ambiguous := !together(weighed)
	given := map[*facts][]netip.Addr{}
	for _, c := range claims {
		if c.bare && (ambiguous || len(near) > 0 && foreign(c)) {
			continue
		}
		if ips := v.reached(c); len(ips) > 0 {
			given[c.by] = append(given[c.by], ips...)
		}
	}
	for _, better := range []func(*facts) bool{
		func(f *facts) bool { return f.on == v.own },
		func(f *facts) bool { return !f.on.away },
		func(f *facts) bool { return f.well },
	} {
		some := maps.Clone(given)
		maps.DeleteFunc(some, func(f *facts, _ []netip.Addr) bool { return !better(f) })
		if len(some) > 0 {
			given = some
		}
	}
	return given
}

// reached returns where who asks reaches the claimant.
func (v view) reached(c claimed) []netip.Addr {
	switch {
	case c.by.on == v.own:
		return c.by.addrs(c.network)
	case v.published:
		return c.by.outside()
	default:
		return nil
	}
}

func reverse(ip netip.Addr) string {
	name, err := dns.ReverseAddr(ip.String())
	if err != nil {
		panic(err)
	}
	return name
}

// difference tells what is missing and what is too much, nil if nothing is.
func difference(got, want records) error {
	var lines []string
	for r := range want {
		if !got[r] {
			lines = append(lines, "missing: "+r)
		}
	}
	for r := range got {
		if !want[r] {
			lines = append(lines, "too much: "+r)
		}
	}
	if lines == nil {
		return nil
	}
	slices.Sort(lines)
	return fmt.Errorf("%d of %d records differ:\n%s", len(lines), len(want), strings.Join(lines, "\n"))
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
