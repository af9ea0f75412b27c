package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	dockercontainer "github.com/docker/docker/api/types/container"

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
		ExposedPorts                            portSet
	}
	HostConfig *struct {
		NetworkMode string
		Sysctls     map[string]string
		DNSSearch   searchList `json:"DnsSearch"`
	}
	NetworkSettings networkSettings
}

type networkSettings struct {
	Ports    portMap                  // only in an inspect
	Networks map[string]*jsonEndpoint // by name
}

type jsonEndpoint struct {
	EndpointID                     string
	Aliases                        aliasList
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
		Stopping:    c.State.Status == statusStopping,
		IPv6Off:     ipv6Off(c.HostConfig.Sysctls),
		Search:      c.HostConfig.DNSSearch,
	}
	if facts.IPv6Off {
		for i := range facts.Endpoints {
			withoutIPv6(&facts.Endpoints[i])
		}
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
	return c.State.Running && !c.State.Restarting || c.State.Status == statusStopping
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

func fromEndpoints(networks map[string]*jsonEndpoint) []container.Endpoint {
	var endpoints []container.Endpoint
	for name, ep := range networks {
		if ep != nil {
			endpoints = append(endpoints, fromEndpoint(name, ep))
		}
	}
	slices.SortFunc(endpoints, func(a, b container.Endpoint) int { return cmp.Compare(a.Network, b.Network) })
	return endpoints
}

func fromEndpoint(name string, ep *jsonEndpoint) container.Endpoint {
	return container.Endpoint{
		ID: ep.EndpointID, Network: name, Aliases: ep.Aliases,
		Addrs:    fromAddrs(ep.IPAddress, ep.GlobalIPv6Address),
		Gateways: fromAddrs(ep.Gateway, ep.IPv6Gateway),
	}
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
