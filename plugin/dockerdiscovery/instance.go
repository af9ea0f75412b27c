package dockerdiscovery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/coredns/caddy"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// startupTimeout bounds how long a start waits for the first reconciliation. After it the server starts all the same; unknown
// names get SERVFAIL until it is done, or the time of the property startup is over.
const startupTimeout = 5 * time.Second

// othersTimeout bounds how long it waits for other hosts when one has told its containers.
const othersTimeout = time.Second

// instance stands for one loading of the Corefile.
type instance struct {
	age       int
	endpoints []endpoint // of all its server blocks; complete before the first of them starts
}

// add adds a server block's endpoints, or says why they can't be in one Corefile with those of others.
func (i *instance) add(endpoints []endpoint) error {
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

// running returns the plugins of the newest instance that has started: while a reload
// is under way there are two.
func running() []*Docker {
	instancesMu.Lock()
	defer instancesMu.Unlock()
	var newest []*Docker
	for _, d := range active {
		switch {
		case len(newest) == 0 || d.instance.age > newest[0].instance.age:
			newest = []*Docker{d}
		case d.instance == newest[0].instance:
			newest = append(newest, d)
		}
	}
	return newest
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
	instancesMu.Lock()
	active = append(active, d)
	instancesMu.Unlock()
	d.settle()
	return nil
}

// settle waits until all engines have told their containers or turned out to be away, but no longer for a dead one where
// another has told.
func (d *Docker) settle() {
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
	timeout, others := time.After(startupTimeout), (<-chan time.Time)(nil)
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
func (d *Docker) stop() error {
	instancesMu.Lock()
	i := slices.Index(active, d)
	if i >= 0 {
		active = slices.Delete(active, i, i+1)
	}
	instancesMu.Unlock()
	if i >= 0 {
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
	return nil
}

// stopLater stops the plugins of later instances. It is called when a reload has
// failed: CoreDNS does not shut down what the failed instance has started.
func (i *instance) stopLater() error {
	instancesMu.Lock()
	later := slices.DeleteFunc(slices.Clone(active), func(d *Docker) bool { return d.instance.age <= i.age })
	instancesMu.Unlock()
	for _, d := range later {
		if err := d.stop(); err != nil {
			return err
		}
	}
	return nil
}
