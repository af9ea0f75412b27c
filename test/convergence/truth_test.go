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

// facts are those about one running container.
type facts struct {
	id, name, hostname string
	created            time.Time
	well               bool
	endpoints          []endpoint
}

type endpoint struct {
	network string
	aliases []string
	addrs   []netip.Addr
}

// truth reads the engine's API on a unix socket.
type truth struct {
	client *http.Client
	suffix string
}

func newTruth(socket, suffix string) *truth {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &truth{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 10 * time.Second}, suffix}
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
		id: c.ID, name: strings.TrimPrefix(c.Name, "/"), hostname: c.Config.Hostname, created: c.Created,
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
	return f, true, nil
}

// zone is where all names lie.
const zone = "docker."

// right is by what right a name is claimed, the strongest first. All but the last are
// exclusive.
type right int

const (
	ownName right = iota
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
	all := []claim{{name: f.name}, {name: short, right: ownID}}
	if f.hostname != "" {
		all = append(all, claim{name: f.hostname, right: shared, bare: true})
	}
	for _, ep := range f.endpoints {
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
			if c.right == ownName {
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
// only the oldest container's.
func winners(claims []claimed) []claimed {
	best := slices.MinFunc(claims, func(a, b claimed) int {
		if a.right != b.right {
			return int(a.right - b.right)
		}
		return a.by.created.Compare(b.by.created)
	})
	return slices.DeleteFunc(slices.Clone(claims), func(c claimed) bool {
		return c.right != best.right || best.right != shared && c.by != best.by
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

// expected returns the address and PTR records of the containers.
func expected(all []facts) records {
	out := records{}
	for name, claims := range byName(all) {
		for ip := range answer(winners(claims)) {
			out.add(name+"."+zone, addressType(ip), ip.String())
		}
	}
	for i := range all {
		for _, ip := range all[i].addrs("") {
			out.add(reverse(ip), dns.TypePTR, all[i].name+"."+zone)
		}
	}
	return out
}

// together reports whether there is a network on which all claimants have the name. Who is on none
// does not count.
func together(claims []claimed) bool {
	on := map[string]map[*facts]bool{} // by network
	all := map[*facts]bool{}
	for _, c := range claims {
		for _, ep := range c.by.endpoints {
			if c.network == "" || c.network == ep.network {
				if on[ep.network] == nil {
					on[ep.network] = map[*facts]bool{}
				}
				on[ep.network][c.by], all[c.by] = true, true
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

// answer returns the addresses of the claimants: the well ones if there is any. Bare names on
// several networks have none. No container has a project.
func answer(claims []claimed) map[netip.Addr]bool {
	ambiguous := !together(claims)
	well, rest := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for _, c := range claims {
		if c.bare && ambiguous {
			continue
		}
		for _, ip := range c.by.addrs(c.network) {
			if c.by.well {
				well[ip] = true
			} else {
				rest[ip] = true
			}
		}
	}
	if len(well) > 0 {
		return well
	}
	return rest
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
