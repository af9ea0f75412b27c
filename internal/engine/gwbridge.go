package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// gwBridge is Docker's network for containers that are on none with a gateway. Who is on it with what address stands nowhere
// but in its own description, and no event tells of it.
const gwBridge = "docker_gwbridge"

const (
	// gwPatience is how long a container's facts wait for its address on docker_gwbridge. Without it they are still good.
	gwPatience = 2 * time.Second
	// gwFirstWait is the pause before asking again while a container stands there by its endpoint's ID, as for some 20 ms around
	// its start. Each further one is twice as long, and gwLastWait is the last.
	gwFirstWait = 10 * time.Millisecond
	gwLastWait  = 160 * time.Millisecond
)

// gateways is what docker_gwbridge's description says.
type gateways struct {
	by       map[string]container.Endpoint // by the container's ID
	starting bool                          // a container stands there by its endpoint's ID
	err      error
	done     chan struct{}
}

// of returns the container's endpoint, the zero Endpoint if it has none.
func (g *gateways) of(c *container.Container) container.Endpoint {
	at := g.by[c.ID]
	if c.IPv6Off {
		at.Addrs, at.Gateways = slices.Clone(at.Addrs), slices.Clone(at.Gateways) // others have them too
		withoutIPv6(&at)
	}
	return at
}

// gwReader reads docker_gwbridge's description once for all who ask while it is being read.
type gwReader struct {
	mu   sync.Mutex
	next *gateways     // the read that has not begun; nil if nobody waits for it
	turn chan struct{} // has an item while a read is under way
}

// read returns what a read says that has begun after the call: an older one may lack who has started since.
func (g *gwReader) read(ctx context.Context, fill func(context.Context, *gateways)) *gateways {
	for {
		g.mu.Lock()
		r, leads := g.next, g.next == nil
		if leads {
			r = &gateways{done: make(chan struct{})}
			g.next = r
		}
		g.mu.Unlock()
		if leads {
			g.lead(ctx, r, fill)
			return r
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return &gateways{err: context.Cause(ctx)}
		}
		if ctx.Err() != nil || !errors.Is(r.err, context.Canceled) && !errors.Is(r.err, context.DeadlineExceeded) {
			return r
		} // else who led has had less time
	}
}

// lead makes the read when the one before has ended.
func (g *gwReader) lead(ctx context.Context, r *gateways, fill func(context.Context, *gateways)) {
	defer close(r.done)
	begin := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.next = nil
	}
	select {
	case g.turn <- struct{}{}:
		begin()
		fill(ctx, r)
		<-g.turn
	case <-ctx.Done():
		begin()
	}
	if ctx.Err() != nil {
		r.err = ctx.Err()
	}
}

// gateways returns who is on docker_gwbridge now.
func (d *docker) gateways(ctx context.Context) *gateways {
	return d.gw.read(ctx, func(ctx context.Context, r *gateways) { r.err = d.readGateways(ctx, r) })
}

func (d *docker) readGateways(ctx context.Context, r *gateways) (err error) {
	defer d.timed("network", time.Now(), &err)
	var n struct {
		listedNetwork
		Containers map[string]struct{ EndpointID, IPv4Address, IPv6Address string }
	}
	err = d.read(ctx, func(ctx context.Context) error {
		_, err := d.client.NetworkInspect(ctx, gwBridge, network.InspectOptions{})
		return err
	}, &n)
	if errdefs.IsNotFound(err) { // nobody is on it
		err = nil
		return nil
	}
	if wrong := misfit(err); wrong != nil && wrong.Field != "" && wrong.Field != "Containers" {
		d.unreadable("network", wrong)
		err = nil
	}
	if err != nil {
		return allowed("/networks/"+gwBridge, err)
	}
	r.by = make(map[string]container.Endpoint, len(n.Containers))
	exits := n.facts(nil).Gateways
	for key, at := range n.Containers {
		r.starting = r.starting || strings.HasPrefix(key, "ep-")
		ip4, _, _ := strings.Cut(at.IPv4Address, "/")
		ip6, _, _ := strings.Cut(at.IPv6Address, "/")
		r.by[key] = container.Endpoint{ID: at.EndpointID, Network: gwBridge, Addrs: fromAddrs(ip4, ip6), Gateways: exits}
	}
	return nil
}

// mayExit reports whether one with these endpoints may be on docker_gwbridge, and whether that is sure to be a Swarm's matter:
// it is on a network that spans hosts, or on one of which the last list did not tell.
func (d *docker) mayExit(endpoints []container.Endpoint) (may, sure bool) {
	if d.quirks.libpod {
		return false, false
	}
	spans := d.spans.Load()
	for i := range endpoints {
		if spans == nil {
			return true, false
		}
		swarm, listed := (*spans)[endpoints[i].Network]
		may, sure = may || swarm || !listed, sure || swarm
	}
	return may, sure
}

// exit returns the container's endpoint on docker_gwbridge, the zero Endpoint if it has none, or none that can be read.
func (d *docker) exit(ctx context.Context, c *container.Container) container.Endpoint {
	may, sure := d.mayExit(c.Endpoints)
	if !may {
		return container.Endpoint{}
	}
	ctx, cancel := context.WithTimeout(ctx, gwPatience)
	defer cancel()
	for wait := gwFirstWait; ; wait *= 2 {
		r := d.gateways(ctx)
		at := r.of(c)
		switch {
		case r.err != nil:
			if sure { // else who has no Swarm would be told of a network that there is not
				d.observer.Unreadable(d.from, "network", r.err)
			}
			return container.Endpoint{}
		case at.ID != "", !r.starting, wait > gwLastWait:
			return at
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// addExits adds what is known of the containers' endpoints on docker_gwbridge, so that a reconciliation finds what an inspect
// could not read.
func (d *docker) addExits(ctx context.Context, summaries []tracker.Summary) {
	swarm := slices.ContainsFunc(summaries, func(s tracker.Summary) bool {
		_, sure := d.mayExit(s.Endpoints)
		return sure
	})
	if !swarm {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, gwPatience)
	defer cancel()
	r := d.gateways(ctx)
	if r.err != nil { // an inspect will tell
		return
	}
	for i := range summaries {
		s := &summaries[i]
		at, ok := r.by[s.ID]
		if _, sure := d.mayExit(s.Endpoints); sure && (ok || !r.starting) {
			s.GWBridge = &at
		}
	}
}
