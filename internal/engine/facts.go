package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

func fromInspect(c *dockercontainer.InspectResponse) *container.Container {
	created, _ := time.Parse(time.RFC3339Nano, c.Created) // unreadable: the oldest of all
	facts := &container.Container{
		ID:          c.ID,
		Name:        strings.TrimPrefix(c.Name, "/"),
		Hostname:    c.Config.Hostname,
		Domainname:  c.Config.Domainname,
		Image:       c.Config.Image,
		Created:     created,
		Labels:      c.Config.Labels,
		NetworkMode: string(c.HostConfig.NetworkMode),
		Paused:      c.State.Paused,
		StopSignal:  c.Config.StopSignal,
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
	var published nat.PortMap
	if c.NetworkSettings != nil {
		facts.Endpoints = fromEndpoints(c.NetworkSettings.Networks)
		published = c.NetworkSettings.Ports
	}
	facts.Ports = fromPorts(c.Config.ExposedPorts, published)
	return facts
}

// fromPorts returns the ports that are exposed or published. What is published on the
// host's loopback is nobody else's: it is left out.
func fromPorts(exposed nat.PortSet, published nat.PortMap) []container.Port {
	all := map[nat.Port][]netip.AddrPort{}
	for p := range exposed {
		all[p] = nil
	}
	for p, bindings := range published {
		all[p] = nil
		for _, b := range bindings {
			ip, err := netip.ParseAddr(cmp.Or(b.HostIP, "0.0.0.0"))
			port, portErr := strconv.ParseUint(b.HostPort, 10, 16)
			if err == nil && portErr == nil && port != 0 && !ip.IsLoopback() {
				all[p] = append(all[p], netip.AddrPortFrom(ip.Unmap(), uint16(port)))
			}
		}
		slices.SortFunc(all[p], netip.AddrPort.Compare)
	}
	var ports []container.Port
	for p, at := range all {
		number, err := strconv.ParseUint(p.Port(), 10, 16)
		proto := strings.ToLower(p.Proto())
		if err == nil && number != 0 && (proto == "tcp" || proto == "udp" || proto == "sctp") {
			ports = append(ports, container.Port{Number: uint16(number), Proto: proto, Published: slices.Compact(at)})
		}
	}
	slices.SortFunc(ports, func(a, b container.Port) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Number, b.Number))
	})
	return ports
}

func fromEndpoints(networks map[string]*network.EndpointSettings) []container.Endpoint {
	var endpoints []container.Endpoint
	for name, ep := range networks {
		if ep != nil {
			endpoints = append(endpoints, fromEndpoint(name, ep))
		}
	}
	slices.SortFunc(endpoints, func(a, b container.Endpoint) int { return cmp.Compare(a.Network, b.Network) })
	return endpoints
}

func fromEndpoint(name string, ep *network.EndpointSettings) container.Endpoint {
	return container.Endpoint{
		ID: ep.EndpointID, Network: name, NetworkID: ep.NetworkID, Aliases: ep.Aliases,
		Addrs:    fromAddrs(ep.IPAddress, ep.GlobalIPv6Address),
		Gateways: fromAddrs(ep.Gateway, ep.IPv6Gateway),
	}
}

// fromAddrs returns the global addresses. The engine writes no address as "".
func fromAddrs(texts ...string) []netip.Addr {
	var addrs []netip.Addr
	for _, s := range texts {
		if ip, err := netip.ParseAddr(s); err == nil && ip.IsGlobalUnicast() && ip.Zone() == "" {
			addrs = append(addrs, ip.Unmap())
		}
	}
	return addrs
}
