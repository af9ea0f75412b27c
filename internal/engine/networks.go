package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/network"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

func (d *docker) networks(ctx context.Context) (_ []container.Network, err error) {
	defer d.timed("networks", time.Now(), &err)
	var networks []container.Network
	spans := map[string]bool{}
	isolated := d.isolated(ctx)
	err = readList(ctx, d.listNetworks, func(entry []byte) error {
		var n listedNetwork
		err := json.Unmarshal(entry, &n)
		if wrong := misfit(err); wrong != nil {
			d.unreadable("networks", wrong)
			err = nil
		}
		if err == nil && n.ID != "" && !n.ConfigOnly {
			networks = append(networks, n.facts(isolated))
			spans[n.Name] = spans[n.Name] || n.spans()
		}
		return err
	})
	if err != nil {
		return nil, allowed("/networks", err)
	}
	d.spans.Store(&spans)
	slices.SortFunc(networks, func(a, b container.Network) int { return cmp.Compare(a.ID, b.ID) })
	return networks, nil
}

func (d *docker) listNetworks(ctx context.Context) error {
	_, err := d.client.NetworkList(ctx, network.ListOptions{})
	return err
}

// listedNetwork is what is of use of an engine's description of a network.
type listedNetwork struct {
	ID                  string `json:"Id"`
	Name, Driver, Scope string
	Internal, Ingress   bool
	ConfigOnly          bool // it is but what others are made from, and its subnet the LAN's: nobody is on it
	IPAM                network.IPAM
	Options             networkOptions
	Labels              networkLabels
}

// networkOptions are those of Docker's bridge driver. The modes exist from Docker 27 on.
type networkOptions struct {
	ICC   string `json:"com.docker.network.bridge.enable_icc"`
	Mode4 string `json:"com.docker.network.bridge.gateway_mode_ipv4"`
	Mode6 string `json:"com.docker.network.bridge.gateway_mode_ipv6"`
}

// spans reports whether the network is one of a Swarm's.
func (l *listedNetwork) spans() bool { return l.Scope == "swarm" }

// facts returns what counts of the network. Isolated is nil unless the engine is Podman.
func (l *listedNetwork) facts(isolated isolation) container.Network {
	n := container.Network{ID: l.ID, Name: l.Name, Driver: l.Driver, Spans: l.spans(), Compose: l.Labels.compose(l.Name)}
	if l.Internal {
		n.Outbound = container.NoWayOut
	}
	if isolated == nil {
		n.Reach4, n.Reach6 = l.reach(l.Options.Mode4), l.reach(l.Options.Mode6)
	} else {
		n.Reach4, n.Outbound = isolated.reach(l)
		n.Reach6 = n.Reach4
	}
	for _, c := range l.IPAM.Config {
		subnet, err := netip.ParsePrefix(c.Subnet)
		if err != nil {
			continue
		}
		n.Subnets = append(n.Subnets, subnet.Masked())
		reach := &n.Reach4
		if subnet.Addr().Is6() {
			reach = &n.Reach6
		}
		gateway, err := netip.ParseAddr(c.Gateway)
		switch {
		case c.Gateway == podmanNone:
			*reach |= container.OffHost
			continue
		case *reach&container.OffHost != 0: // what the engine says is no address of the host's
			continue
		case err != nil: // Docker leaves out its own choice: the first address
			gateway = subnet.Masked().Addr().Next()
		}
		if gateway.IsValid() { // the last address of all has no next
			n.Gateways = append(n.Gateways, gateway.WithZone("").Unmap())
		}
	}
	return n
}

// reach returns who reaches the containers' addresses of a family in which the network has this gateway mode, by Docker's
// rules.
func (l *listedNetwork) reach(mode string) (r container.Reach) {
	switch {
	case l.Ingress:
		return container.OffHost | container.Unshared
	case l.Driver == "macvlan" || l.Driver == "ipvlan":
		if l.Internal { // it has no interface of the host's
			return container.OffHost
		}
		return container.OnLAN
	case l.spans():
		return container.OffHost
	}
	if icc, err := strconv.ParseBool(l.Options.ICC); err == nil && !icc || l.Name == gwBridge {
		r |= container.Unshared
	}
	switch mode {
	case "routed":
		r |= container.RoutedPorts
	case "nat-unprotected":
		r |= container.Routed
	case "isolated":
		r |= container.OffHost
	}
	return r
}
