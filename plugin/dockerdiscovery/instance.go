package dockerdiscovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// startupTimeout bounds how long a start waits for the first reconciliation. After it the server starts all the same; unknown
// names get SERVFAIL until it is done, or the time of the property startup is over.
const startupTimeout = 5 * time.Second

// othersTimeout bounds how long it waits for other hosts when one has told its containers.
const othersTimeout = time.Second

// instance stands for one loading of the Corefile.
type instance struct {
	age int
	// What its server blocks say. It is complete before the first of them starts.
	blocks    int // that have docker
	plugins   []*Docker
	endpoints []endpoint
	status    *statusLine // nil if none has it
	shares    []*shareLine
}

// add adds what a server block says, or tells why that can't be in one Corefile with what others say.
func (i *instance) add(cfg *config) error {
	endpoints, status := cfg.endpoints, cfg.status
	if err := i.addShare(cfg.share); err != nil {
		return err
	}
	switch {
	case status == nil:
	case i.status == nil:
		i.status = status
	case !status.equal(i.status):
		return fmt.Errorf("%s: another status stands at %s; want it in one server block, which tells of all, or alike", status.at, i.status.at)
	}
	i.blocks++
	for _, e := range endpoints {
		for _, other := range i.endpoints {
			if err := e.conflict(&other); err != nil {
				return fmt.Errorf("%s: %w; want one NAME for each engine", e.at, err)
			}
		}
	}
	i.endpoints = append(i.endpoints, endpoints...)
	return nil
}

type instanceKey struct{}

var (
	instancesMu sync.Mutex // guards the following
	instances   int
	active      []*Docker // between start and stop
)

// instanceOf returns the instance to which the controller's server block belongs.
func instanceOf(c *caddy.Controller) *instance {
	if i, ok := c.Get(instanceKey{}).(*instance); ok {
		return i
	}
	instancesMu.Lock()
	instances++
	i := &instance{age: instances}
	instancesMu.Unlock()
	c.Set(instanceKey{}, i)
	return i
}

// running returns the plugins of the newest instance that has started, in the order of its server blocks: while a reload is
// under way there are two. Where none has started as a whole, or is being stopped, it is the newest one's that run.
func running() (newest []*Docker) {
	instancesMu.Lock()
	defer instancesMu.Unlock()
	of := map[*instance][]*Docker{}
	for _, d := range active {
		of[d.instance] = append(of[d.instance], d)
	}
	for i, all := range of {
		if newest == nil {
			newest = all
			continue
		}
		best := newest[0].instance
		whole, bestWhole := len(all) >= i.blocks, len(newest) >= best.blocks
		if whole && !bestWhole || whole == bestWhole && i.age > best.age {
			newest = all
		}
	}
	return newest
}

// whole reports whether all of the instance's plugins have started. The caller holds instancesMu.
func (i *instance) whole() bool {
	n := 0
	for _, d := range active {
		if d.instance == i {
			n++
		}
	}
	return n >= i.blocks
}

// delegate has transfers lead to the zones of other server blocks that lie inside of one of ours, for who asks at an address that both
// listen on.
func (d *Docker) delegate() {
	var beside []string // zones of blocks that listen where we do
	for _, other := range d.instance.plugins {
		if other.listensWith(d) {
			beside = append(beside, other.config.zone.Zones...)
		}
	}
	all := plugin.Zones(beside)
	for _, zone := range beside {
		off, end := dns.NextLabel(zone, 0)
		if end || slices.Contains(d.config.zone.Zones, zone) {
			continue
		}
		if in := all.Matches(zone[off:]); slices.Contains(d.config.zone.Zones, in) {
			d.store.Delegate(zone)
		}
	}
}

// listensWith reports whether there is an address at which both are asked.
func (d *Docker) listensWith(other *Docker) bool {
	return d == other || slices.ContainsFunc(d.listens, func(at string) bool { return slices.Contains(other.listens, at) })
}

// start begins to watch the engines. It returns when the names of all running containers are known, or after a while without.
func (d *Docker) start() error {
	instancesMu.Lock()
	relabel(d.instance)
	instancesMu.Unlock()
	ids := labelsOf(d.instance)
	ctx, cancel := context.WithCancel(context.Background())
	d.stopLookups = cancel
	for _, h := range d.hosts {
		h.id = ids[h.Source()].host
		d.catalog.Feed(h.id) // before one is reconciled: all are waited for
	}
	for _, h := range d.hosts {
		h.watcher = engine.Watch(h.Endpoint, observed)
		h.moved = h.watchAddrs(ctx, d.askers.Feed(h.id).EngineAt)
		h.kin.sink = d.sink(h)
	}
	for _, h := range d.hosts {
		h.watcher.Subscribe(h.kin.sink, d.config.resync)
	}
	d.watchSwarm()
	d.join()
	instancesMu.Lock()
	active = append(active, d)
	last := d.instance.whole()
	instancesMu.Unlock()
	d.settle()
	if !last || d.instance.status == nil {
		return nil
	}
	err := d.instance.status.listen()
	if err != nil { // CoreDNS does not shut down what has not started
		err = errors.Join(err, stopAll(func(o *Docker) bool { return o.instance == d.instance }))
	}
	return err
}

// settle waits until engines and Swarms have told what there is, or turned out to be away.
func (d *Docker) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), startupTimeout)
	defer cancel()
	d.settleHosts(ctx.Done())
	d.settleOthers(ctx.Done())
	if !d.settleSwarm(ctx.Done()) {
		log.Warning("No manager of the Swarm has told its services yet; starting without")
	}
}

// settleHosts waits until all engines have told their containers or turned out to be away, but no longer for a dead one where
// another has told.
func (d *Docker) settleHosts(timeout <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	settled := make(chan *watchedHost, len(d.hosts))
	for _, h := range d.hosts {
		go func() {
			select {
			case <-h.watcher.Settled():
				settled <- h
			case <-ctx.Done():
			}
		}()
	}
	others := (<-chan time.Time)(nil)
	waiting := slices.Clone(d.hosts)
	for len(waiting) > 0 {
		select {
		case h := <-settled:
			waiting = slices.DeleteFunc(waiting, func(w *watchedHost) bool { return w == h })
			d.askers.Vantage(h.id) // so that its warning comes at the start
			if others == nil && h.watcher.Current() {
				others = time.After(othersTimeout)
			}
			continue
		case <-timeout:
		case <-others:
		}
		for _, h := range waiting {
			log.Warningf("Docker Engine %s has not told its containers yet; starting without", at(h.watcher.Source()))
		}
		return
	}
}

// stop ends what start began. Queries that come still are answered from the last snapshot.
func (d *Docker) stop() (err error) {
	if d.instance.status != nil {
		err = d.instance.status.close()
	}
	instancesMu.Lock()
	i := slices.Index(active, d)
	if i >= 0 {
		active = slices.Delete(active, i, i+1)
	}
	instancesMu.Unlock()
	if i >= 0 {
		d.leave()
		d.leaveSwarm()
		for _, h := range d.hosts {
			h.watcher.Unsubscribe(h.kin.sink)
			h.watcher.Release()
		}
		instancesMu.Lock()
		relabel()
		instancesMu.Unlock()
		d.stopLookups()
		d.catalog.Close()
		d.notifier.stop()
	}
	return err
}

// stopLater stops the plugins of later instances. It is called when a reload has
// failed: CoreDNS does not shut down what the failed instance has started.
func (i *instance) stopLater() error {
	return stopAll(func(d *Docker) bool { return d.instance.age > i.age })
}

// stopAll stops the plugins that are meant.
func stopAll(meant func(*Docker) bool) error {
	instancesMu.Lock()
	all := slices.DeleteFunc(slices.Clone(active), func(d *Docker) bool { return !meant(d) })
	instancesMu.Unlock()
	var errs []error
	for _, d := range all {
		errs = append(errs, d.stop())
	}
	return errors.Join(errs...)
}
