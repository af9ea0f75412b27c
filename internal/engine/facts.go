package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// inspected is what is of use of the engine's answer to an inspect.
type inspected struct {
	ID      string `json:"Id"`
	Name    string
	Created string
	State   *struct {
		Running, Paused, Restarting   bool
		Status, StartedAt, FinishedAt string
		Health                        *struct{ Status string }
	}
	Config *struct {
		Hostname, Domainname, Image, StopSignal string
		StopTimeout                             *float64 // in seconds; Docker leaves it out if none is declared
		Labels                                  map[string]string
		ExposedPorts                            nat.PortSet
	}
	HostConfig *struct {
		NetworkMode string
		Sysctls     map[string]string
	}
	NetworkSettings networkSettings
}

type networkSettings struct {
	Ports    nat.PortMap          // only in an inspect
	Networks map[string]*endpoint // by name
}

type endpoint struct {
	EndpointID                     string
	Aliases                        []string
	IPAddress, Gateway             string
	GlobalIPv6Address, IPv6Gateway string
}

func (c *inspected) facts() *container.Container {
	created, _ := time.Parse(time.RFC3339Nano, c.Created)         // unreadable: the oldest of all
	started, _ := time.Parse(time.RFC3339Nano, c.State.StartedAt) // left out or written otherwise: not known
	facts := &container.Container{
		ID:          c.ID,
		Name:        strings.TrimPrefix(c.Name, "/"),
		Hostname:    c.Config.Hostname,
		Domainname:  c.Config.Domainname,
		Image:       c.Config.Image,
		Created:     created,
		Started:     started,
		Labels:      c.Config.Labels,
		NetworkMode: c.HostConfig.NetworkMode,
		Endpoints:   fromEndpoints(c.NetworkSettings.Networks),
		Ports:       fromPorts(c.Config.ExposedPorts, c.NetworkSettings.Ports),
		Paused:      c.State.Paused,
		StopSignal:  c.Config.StopSignal,
		StopTimeout: fromStopTimeout(c.Config.StopTimeout),
		Stopping:    c.State.Status == stopping,
		IPv6Off:     ipv6Off(c.HostConfig.Sysctls),
	}
	if facts.IPv6Off {
		withoutIPv6(facts.Endpoints)
	}
	if h := c.State.Health; h != nil {
		switch h.Status {
		case dockercontainer.Starting:
			facts.Health = container.HealthStarting
		case dockercontainer.Healthy:
			facts.Health = container.Healthy
		case dockercontainer.Unhealthy:
			facts.Health = container.Unhealthy
		}
	}
	return facts
}

// runs reports whether the container's process runs. In the pause before an engine starts it again by its restart
// policy nothing does, though Docker counts the container as running.
func (c *inspected) runs() bool {
	return c.State.Running && !c.State.Restarting || c.State.Status == stopping
}

const (
	// defaultStopTimeout is what the engines allow who declares nothing.
	defaultStopTimeout = 10 * time.Second
	// longestStop is as good as no limit.
	longestStop = 365 * 24 * time.Hour
)

func fromStopTimeout(seconds *float64) time.Duration {
	switch {
	case seconds == nil:
		return defaultStopTimeout
	case *seconds < 0 || *seconds > longestStop.Seconds():
		return -1
	default:
		return time.Duration(*seconds * float64(time.Second))
	}
}

// maxPorts bounds the ports of a container that count: an image may expose every one.
const maxPorts = 1024

// fromPorts returns the ports that are exposed or published, of more than maxPorts the published ones and then those of
// the lowest numbers. What is published on the host's loopback is nobody else's: it is left out.
func fromPorts(exposed nat.PortSet, published nat.PortMap) []container.Port {
	type key struct {
		number uint16
		proto  string
	}
	all := map[key][]netip.AddrPort{}
	add := func(p nat.Port, at ...netip.AddrPort) {
		number, err := strconv.ParseUint(p.Port(), 10, 16)
		proto := strings.ToLower(p.Proto())
		if err == nil && number != 0 && (proto == "tcp" || proto == "udp" || proto == "sctp") {
			k := key{uint16(number), proto}
			all[k] = append(all[k], at...)
		}
	}
	for p := range exposed {
		add(p)
	}
	for p, bindings := range published {
		add(p)
		for _, b := range bindings {
			ip, err := netip.ParseAddr(cmp.Or(b.HostIP, "0.0.0.0"))
			port, portErr := strconv.ParseUint(b.HostPort, 10, 16)
			if err == nil && portErr == nil && port != 0 && !ip.IsLoopback() {
				add(p, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
			}
		}
	}
	var ports []container.Port
	for k, at := range all {
		slices.SortFunc(at, netip.AddrPort.Compare)
		ports = append(ports, container.Port{Number: k.number, Proto: k.proto, Published: slices.Compact(at)})
	}
	if len(ports) > maxPorts {
		slices.SortFunc(ports, func(a, b container.Port) int {
			return cmp.Or(cmp.Compare(min(len(b.Published), 1), min(len(a.Published), 1)), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Proto, b.Proto))
		})
		ports = slices.Clone(ports[:maxPorts])
	}
	slices.SortFunc(ports, func(a, b container.Port) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Number, b.Number))
	})
	return ports
}

func fromEndpoints(networks map[string]*endpoint) []container.Endpoint {
	var endpoints []container.Endpoint
	for name, ep := range networks {
		if ep != nil {
			endpoints = append(endpoints, fromEndpoint(name, ep))
		}
	}
	slices.SortFunc(endpoints, func(a, b container.Endpoint) int { return cmp.Compare(a.Network, b.Network) })
	return endpoints
}

func fromEndpoint(name string, ep *endpoint) container.Endpoint {
	return container.Endpoint{
		ID: ep.EndpointID, Network: name, Aliases: fromAliases(ep.Aliases),
		Addrs:    fromAddrs(ep.IPAddress, ep.GlobalIPv6Address),
		Gateways: fromAddrs(ep.Gateway, ep.IPv6Gateway),
	}
}

// maxAliases bounds what is kept of a container's aliases on a network: engines know no bound.
const maxAliases = 1024

func fromAliases(aliases []string) []string {
	if len(aliases) > maxAliases {
		return slices.Clone(aliases[:maxAliases])
	}
	return aliases
}

// fromAddrs returns the global addresses, the first of each family, IPv4 first. The
// engine writes no address as "".
func fromAddrs(texts ...string) []netip.Addr {
	var addrs []netip.Addr
	for _, s := range texts {
		ip, err := netip.ParseAddr(s)
		if ip = ip.Unmap(); err == nil && ip.IsGlobalUnicast() && ip.Zone() == "" &&
			!slices.ContainsFunc(addrs, func(o netip.Addr) bool { return o.Is4() == ip.Is4() }) {
			addrs = append(addrs, ip)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// networkLabels are the labels that Compose puts on the networks that it makes, v1 and v2.
type networkLabels struct {
	Project string `json:"com.docker.compose.project"`
	Short   string `json:"com.docker.compose.network"`
}

// maxCompose bounds what a network's labels say, in octets: a name in DNS is no longer.
const maxCompose = 255

// compose returns what the network is to Compose. A Compose file may say how a network is to be called, so
// the label counts, and the usual form of the name only for tools that leave it out, as podman-compose does.
func (l networkLabels) compose(name string) container.ComposeNetwork {
	if usual, ok := strings.CutPrefix(name, l.Project+"_"); ok {
		l.Short = cmp.Or(l.Short, usual)
	}
	if l.Project == "" || l.Short == "" || len(l.Project)+len(l.Short) > maxCompose {
		return container.ComposeNetwork{}
	}
	return container.ComposeNetwork{Project: l.Project, Short: l.Short}
}
