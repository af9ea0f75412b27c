// Package container holds the facts about a container that decide its DNS records.
//
// It is the vocabulary between internal/engine, which fills the facts in from
// Docker's API and tells of their changes, and internal/naming, which turns them
// into names. It knows neither Docker's types nor DNS.
package container

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Container is what the engine said last about one running container. A Container
// that has been handed on is never changed: a new state is a new Container.
type Container struct {
	ID         string // 64 hexadecimal digits
	Name       string // without the leading slash
	Hostname   string
	Domainname string
	Image      string // as given to run or create
	Created    time.Time
	Started    time.Time // this time, by the engine's clock; zero if the engine has not told
	Labels     map[string]string
	// Untold are keys of further labels, of which the host that tells of the container keeps the values to itself.
	Untold []string

	// NetworkMode is the engine's HostConfig.NetworkMode: the first network's name,
	// or "host", "none", "container:<id>", "default", "bridge".
	NetworkMode string
	Endpoints   []Endpoint // by network name
	// GWBridge is the connection to docker_gwbridge, which the engine gives a container that is on none but networks without
	// a gateway, such as overlays: there, and there alone, its host reaches it, and from there it reaches all that is not on
	// its networks. The zero Endpoint if it has none.
	GWBridge Endpoint
	IPv6Off  bool // its interfaces have no IPv6 addresses, and Endpoints none
	// Search are the domains in which its resolver looks for names, as whoever started it has given them. Nil if that is left to the
	// engine, which does not say what it gives then.
	Search []string

	Ports []Port // that the image or whoever started the container says it serves, by protocol and number

	Paused bool
	Health Health

	StopSignal string // as declared; SIGTERM if empty
	// StopTimeout is how long it may take to stop before it is killed; negative if there is no limit.
	StopTimeout time.Duration
	// Stopping is true from when the container got a signal that tells it to stop until
	// it has ended, or has gone on for so long that it is taken not to stop.
	Stopping bool
}

// Endpoint is a container's connection to one network.
type Endpoint struct {
	ID       string       // another one for each connection
	Network  string       // the network's name
	Aliases  []string     // as given by the user; some engines add the short ID
	Addrs    []netip.Addr // at most one IPv4 and one global IPv6 address, IPv4 first
	Gateways []netip.Addr // of the container's network, likewise
}

// ComposeNetwork is what a network is to Compose, the zero value if it is none of a project's.
type ComposeNetwork struct{ Project, Short string } // Short is its name in the project's Compose file

// Port is a port that a container serves.
type Port struct {
	Number uint16
	Proto  string // tcp, udp or sctp
	// Published are the host's addresses and ports by which it is reached from elsewhere,
	// the address unspecified (0.0.0.0 or ::) for all of a family.
	Published []netip.AddrPort
	// Open is set for a port that is published, be it without a port of the host: then it is reached at the container's own
	// addresses on networks in routed mode, where others are not.
	Open bool
}

// Network is a network of the engine.
type Network struct {
	ID, Name string
	Driver   string // bridge, macvlan, overlay and so on
	Spans    bool   // several hosts
	Subnets  []netip.Prefix
	Gateways []netip.Addr // the host's addresses in the subnets of a bridge
	Compose  ComposeNetwork
	// Reach4 and Reach6 say who reaches the containers' IPv4 and IPv6 addresses on the network.
	Reach4, Reach6 Reach
	// Outbound says what of other networks its containers reach.
	Outbound Outbound
}

// Reach says who reaches a container by its address on a network, in so far as this differs from an ordinary bridge of
// Docker's: there it is the containers on the network, and the host.
type Reach uint8

// The differences.
const (
	// Unshared is set where not even the network's containers reach each other: Docker's docker_gwbridge, any bridge with
	// enable_icc=false, and a Swarm's ingress network.
	Unshared Reach = 1 << iota
	// OffHost is set where the host has no address in the network, and no way there: overlays, gateway mode isolated.
	OffHost
	// OnLAN is set where the containers are neighbours of the hosts on the LAN: macvlan and ipvlan. From the host itself and
	// its other networks they may be out of reach.
	OnLAN
	// Routed is set where who is elsewhere reaches all ports of the container by the host's routes: Docker's gateway mode
	// nat-unprotected. Containers on other networks of the host do not.
	Routed
	// RoutedPorts is set where who is elsewhere, and containers on other networks of the host, reach published ports by the
	// host's routes: Docker's gateway mode routed.
	RoutedPorts
	// Forwarded is set where the host forwards to it from its other networks: Podman's.
	Forwarded
	// Apart is set for a Forwarded network to which there is no way from others that are Apart: Podman's option isolate.
	Apart
)

// Outbound says what the containers on a network reach of the other networks of their host.
type Outbound uint8

// The ways out, the widest first.
const (
	AnyWayOut Outbound = iota // what the host forwards, or routes
	ApartOut                  // likewise, but no network that is Apart
	NoWayOut                  // nothing: an internal network
)

// Reach returns who reaches the address, which lies in the network.
func (n *Network) Reach(ip netip.Addr) Reach {
	if ip.Is4() {
		return n.Reach4
	}
	return n.Reach6
}

// Host is what is known of the engine's host.
type Host struct {
	ID       HostID    // set by who takes the facts, as Name; an engine does not know how it is called
	Name     string    // in DNS: its own, and below it those of its containers; "" if it has none there
	Networks []Network // by ID
	// Routed is false where the host can't reach containers by their addresses, since
	// the engine runs in a virtual machine or in a network namespace of a user's.
	Routed bool
	// Engine is what the engine calls itself, by which it is known again at another address and after a restart, "" if it has
	// nothing of that kind.
	Engine string
	// Addrs are the addresses at which a host is reached that tells of itself; nil if we ask its engine. It is elsewhere.
	Addrs []netip.Addr
	// Peer is the address at which the engine is reached, the zero Addr if that is a socket.
	Peer netip.Addr
}

// Direct reports whether the network's containers are neighbours of the hosts on the
// LAN, and so reached from there by their own addresses.
func (n *Network) Direct() bool { return (n.Reach4|n.Reach6)&OnLAN != 0 }

// Connections returns the container's connections to all networks, to docker_gwbridge too.
func (c *Container) Connections() []Endpoint {
	if c.GWBridge.Network == "" {
		return c.Endpoints
	}
	return append(slices.Clip(c.Endpoints), c.GWBridge)
}

// HostNetwork reports whether the container has the host's network as its own.
func (c *Container) HostNetwork() bool { return c.NetworkMode == "host" }

// Joined returns the ID or name of the container whose network this one shares, ""
// if it has its own.
func (c *Container) Joined() string {
	if other, ok := strings.CutPrefix(c.NetworkMode, "container:"); ok {
		return other
	}
	return ""
}

// Published returns the host's addresses on which the container's ports are published,
// each once: unspecified (0.0.0.0 or ::) for all of a family. Who is on networks and has no address there is leaving them,
// and with the last one the host's ports go.
func (c *Container) Published() []netip.Addr {
	if len(c.Endpoints) > 0 && !slices.ContainsFunc(c.Endpoints, func(e Endpoint) bool { return len(e.Addrs) > 0 }) {
		return nil
	}
	var addrs []netip.Addr
	for _, p := range c.Ports {
		for _, at := range p.Published {
			addrs = append(addrs, at.Addr())
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}

// Health is the result of the image's or container's health check.
type Health uint8

// The states of a health check.
const (
	HealthNone Health = iota // no health check is configured
	HealthStarting
	Healthy
	Unhealthy
)

// ShortID returns the first 12 digits of the container's ID, as the Docker CLI prints it.
func (c *Container) ShortID() string { return c.ID[:min(len(c.ID), 12)] }

// Equal reports whether c and o would lead to the same records.
func (c *Container) Equal(o *Container) bool {
	return c.ID == o.ID && c.Name == o.Name && c.Hostname == o.Hostname && c.Domainname == o.Domainname &&
		c.Image == o.Image && c.Created.Equal(o.Created) && c.Started.Equal(o.Started) && c.NetworkMode == o.NetworkMode && c.IPv6Off == o.IPv6Off &&
		c.Paused == o.Paused && c.Health == o.Health && c.Stopping == o.Stopping &&
		c.StopSignal == o.StopSignal && c.StopTimeout == o.StopTimeout &&
		maps.Equal(c.Labels, o.Labels) && slices.Equal(c.Untold, o.Untold) && slices.Equal(c.Search, o.Search) &&
		slices.EqualFunc(c.Ports, o.Ports, func(a, b Port) bool {
			return a.Number == b.Number && a.Proto == b.Proto && a.Open == b.Open && slices.Equal(a.Published, b.Published)
		}) &&
		slices.EqualFunc(c.Endpoints, o.Endpoints, Endpoint.equal) && c.GWBridge.equal(o.GWBridge)
}

func (e Endpoint) equal(o Endpoint) bool {
	return e.ID == o.ID && e.Network == o.Network &&
		slices.Equal(e.Aliases, o.Aliases) && slices.Equal(e.Addrs, o.Addrs) && slices.Equal(e.Gateways, o.Gateways)
}
