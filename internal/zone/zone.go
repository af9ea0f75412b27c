// Package zone holds the authoritative data: which container owns which name, and
// what a query for it gets.
//
// A [Store] is written by whoever watches the containers and read through
// [Snapshot], which never changes: a reader takes no lock, waits for nobody, and
// sees the names of a container all together or not at all.
package zone

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Key tells entries apart. Containers of several hosts may have one ID: engines are copied with their machines.
type Key struct {
	Host container.HostID
	ID   string // the container's, "" for the host itself
}

// IsHost reports whether the entry is that of the host itself.
func (k Key) IsHost() bool { return k.ID == "" }

// Entry is what one container contributes, or a host itself. It must not be changed after it was
// given to [Store.Apply].
type Entry struct {
	Key
	Name    string    // the container's or host's, for messages
	Project string    // its Compose project, if any
	Service string    // its Compose service, if it serves one
	Created time.Time // settles who keeps a name that two containers claim with equal right

	// A container is well unless it is Sick or Draining. A name answers with the addresses of
	// its well claimants, or of all when none is well.
	Sick     bool // its health check fails, which its peers in a service take no notice of
	Draining bool // it should get no new traffic, since it is paused or told to stop
	// RequireWell keeps the container's addresses back while it is not well, whatever the
	// other claimants are.
	RequireWell bool

	// Held is set for a container that has just ended. Its names exist, without
	// addresses, and nobody with a weaker claim gets those that it had alone, unless it is Gone.
	Held, Gone bool

	// Networks are those of its addresses on which containers reach each other. They outlast these: what has just ended keeps
	// its neighbours from getting another's address.
	Networks []container.NetworkID
	// Addresses are in the order in which they are to be answered. One by which it is reached on behalf of several networks
	// stands there for each.
	Addresses []Address
	// Joined is set if the addresses are another container's, to whom they resolve.
	Joined bool
	// HostNetwork is set for a container that is reached at the host's addresses.
	HostNetwork bool
	// Published are the host's addresses on which it is reached from elsewhere:
	// unspecified (0.0.0.0 or ::) for all of a family.
	Published []netip.Addr

	// Swarm is set for a Swarm's service, and for one of its tasks.
	Swarm *Member

	// Front is set for a front proxy: the claim by which it answers for what others have Proxied.
	Front *Claim

	// Claims are the names, the one by which the container is best known first: an
	// address resolves back to the first name that the container holds.
	Claims []Claim

	// TTL, if OwnTTL is set, is used for the container's addresses in place of the
	// zone's. A name's addresses have the least TTL of those who answer.
	TTL    uint32
	OwnTTL bool
}

// Address is where a container can be reached on one network.
type Address struct {
	IP      netip.Addr
	Network container.NetworkID
	Reach   container.Reach // who reaches it, other than as on an ordinary bridge
}

// Claim says that a container wants to answer for a name, with its addresses unless
// Data is set. Of a name that it claims exclusively it has all other claims too.
type Claim struct {
	Name    string              // owner name: absolute, lower case
	Network container.NetworkID // only the addresses on this network answer; all if zero
	Rank    Rank
	Part    Part // of the entry's addresses: of all if zero
	// Bare is set for a network's alias without the network's name, and for a host name. Projects
	// and networks may call things alike that have nothing to do with each other: see guard.
	Bare bool
	// Scoped is set for a name in zone . that exists only for the Docker host, and for containers on the
	// claim's network, or else on one of the claimant's: for others it may be the Internet's.
	Scoped bool
	// Proxied is set for a name at which front proxies answer in place of the claimant: those among the entries, or those whose
	// addresses are the Data. Its Part is NoPart.
	Proxied bool

	Data *Data
}

// Data is what answers for a claim in place of addresses: records or a service. Few claims have any.
type Data struct {
	Records []dns.RR // their owner is the claim's name, their class IN
	Service *Service
}

// Records returns the claim's records, if it has some in place of addresses.
func (c *Claim) Records() []dns.RR {
	if c.Data == nil {
		return nil
	}
	return c.Data.Records
}

// Service returns the claim's service, nil if it has none.
func (c *Claim) Service() *Service {
	if c.Data == nil {
		return nil
	}
	return c.Data.Service
}

// Service is a port of a container, as an SRV record tells it.
type Service struct {
	// Targets are names of the container that has the port, the one by which it is best known first. The answer has the first
	// one by which the asker finds nobody on other hosts: the port is this one's.
	Targets []string
	Port    uint16
	// Published are the host's addresses and ports at which it is reached from elsewhere; an
	// address may be unspecified (0.0.0.0 or ::) for all of a family.
	Published []netip.AddrPort
	Open      bool // it is published, be it at no port of the host
}

// Lost is a claim that another container's stronger one defeats.
type Lost struct {
	Name          string
	Loser, Winner *Entry
}

// Config is what a Store is authoritative for.
type Config struct {
	Zones []string // origins: absolute, lower case; forward and reverse
	TTL   uint32   // of positive answers, in seconds

	// NegativeTTL is how long a resolver may keep the answer that a name or type does
	// not exist, in seconds: the SOA's MINIMUM, RFC 2308 §4.
	NegativeTTL uint32

	// Isolate has the store keep what it needs for views that isolate.
	Isolate bool
}

// origin is one zone's fixed part.
type origin struct {
	name string // the apex
	ns   string // the name server's owner name, inside the zone
	mbox string // whom the SOA names as responsible
	root bool   // zone ".", which we share with the Internet

	cuts []string // the apexes of the zones inside this one, without those inside of these: RFC 1034 §4.2.1
}

func newOrigin(name string) *origin {
	if name == "." {
		return &origin{name: name, ns: "ns.dns.", mbox: "hostmaster.", root: true}
	}
	return &origin{name: name, ns: "ns.dns." + name, mbox: "hostmaster." + name}
}

// delegates reports whether the name lies in a zone inside this one.
func (o *origin) delegates(name string) bool {
	return slices.ContainsFunc(o.cuts, func(cut string) bool { return dns.IsSubDomain(cut, name) })
}

// origins finds the zone in which a name lies.
type origins map[string]*origin

// match returns the most specific zone that holds the name, nil if there is none.
func (o origins) match(name string) *origin {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if z, ok := o[name[off:]]; ok {
			return z
		}
	}
	return o["."]
}

// child returns the name one label below the apex in which, or at which, the name lies. It lies below the apex.
func (o *origin) child(name string) string {
	end := len(name) - len(o.name)
	if !o.root {
		end--
	}
	return name[strings.LastIndexByte(name[:end], '.')+1:]
}

// parent returns the name without its first label, "." for a single label.
func parent(name string) string {
	off, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[off:]
}

// Reserved reports whether the name is the server's own in one of the zones: an
// apex or the name of a zone's name server. No container may claim it.
func (c Config) Reserved(name string) bool {
	for _, z := range c.Zones {
		if o := newOrigin(z); name == o.name || name == o.ns {
			return true
		}
	}
	return false
}

// IsReverse reports whether names in the zone stand for addresses.
func IsReverse(zone string) bool {
	return dns.IsSubDomain("in-addr.arpa.", zone) || dns.IsSubDomain("ip6.arpa.", zone)
}

// isReverseName reports whether the name stands for an address, or for several.
func isReverseName(name string) bool { return strings.HasSuffix(name, ".arpa.") && IsReverse(name) }

// reverseName is the owner name of the address's PTR record, RFC 1035 §3.5 and RFC 3596 §2.5.
func reverseName(ip netip.Addr) string {
	name, err := dns.ReverseAddr(ip.String())
	if err != nil { // an invalid netip.Addr: a mistake of the caller
		panic("zone: " + err.Error())
	}
	return strings.ToLower(name)
}
