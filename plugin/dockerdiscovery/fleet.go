package dockerdiscovery

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/asker"
	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// fleet is the hosts that tell of themselves. It implements share.Hosts.
type fleet struct {
	docker *Docker
	member *share.Member // nil if the block does not share
	// awaited is a host without containers that stands for those that are not known before etcd has told: names that nobody has are not
	// denied before that, or before the time of the property startup is over.
	awaited container.HostID

	mu    sync.Mutex // guards names
	names map[container.HostID]string
}

// name returns how the host is called in names, "" if it is not.
func (f *fleet) name(id container.HostID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.names[id]
}

// list returns the hosts.
func (f *fleet) list() (all []container.HostID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.names {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

// Host implements share.Hosts. Of one that the block watches itself its endpoint tells. A name that is this zone's own, such as that of its
// name server's, is not the host's.
func (f *fleet) Host(id container.HostID) engine.Sink {
	d, name := f.docker, string(id)
	if d.host(id) != nil {
		return unheeded{}
	}
	if err := d.config.validName(name); err != nil {
		log.Warningf("Host %s, of which etcd tells, has no name in DNS: %v", id, err)
		name = ""
	}
	f.mu.Lock()
	f.names[id] = name
	f.mu.Unlock()
	d.own.Forget() // by which families it is reached
	return otherSink{d.catalog.Told(id), d.askers.Feed(id)}
}

// Left implements share.Hosts.
func (f *fleet) Left(id container.HostID) {
	if f.docker.host(id) != nil {
		return
	}
	f.docker.catalog.Remove(id)
	f.docker.askers.Remove(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.names, id)
}

// Synced implements share.Hosts.
func (f *fleet) Synced() { f.docker.catalog.Remove(f.awaited) }

// expected is what there is to say of hosts of which etcd has not told yet.
func (d *Docker) expected() []status.Host {
	if d.fleet.member == nil {
		return nil
	}
	p := d.catalog.Presence(d.fleet.awaited)
	if p.Since.IsZero() {
		return nil
	}
	h := status.Host{ID: d.fleet.awaited, Fleet: true, Synced: p.Synced, State: presenceName(p), Since: p.Since}
	if s := d.fleet.member.State(); s.Err != nil {
		h.LastError, h.ErrorAt, h.Cure = s.Err.Error(), s.ErrAt, share.Cure(s.Err)
	}
	return []status.Host{h}
}

// otherSink hands what another host tells to the rooms that use it. It implements engine.Sink.
type otherSink struct {
	*catalog.Feed
	askers *asker.Feed
}

// Host implements engine.Sink.
func (s otherSink) Host(h container.Host) {
	s.askers.Host(h)
	s.Feed.Host(h)
}

// Apply implements engine.Sink.
func (s otherSink) Apply(changes []container.Change) {
	s.askers.Apply(changes)
	s.Feed.Apply(changes)
}

// unheeded takes what nobody asks for. It implements engine.Sink.
type unheeded struct{}

func (unheeded) Host(container.Host)      {}
func (unheeded) Apply([]container.Change) {}
func (unheeded) Synced()                  {}
func (unheeded) Current(bool, time.Time)  {}

// join has the block's host tell others, and takes what they tell.
func (d *Docker) join() {
	if d.config.share == nil {
		return
	}
	d.fleet.docker, d.fleet.names = d, map[container.HostID]string{}
	d.fleet.awaited = container.HostID("etcd " + d.config.share.Path) // which is no NAME
	awaited := d.catalog.Await(d.fleet.awaited, "etcd")
	d.fleet.member = share.Join(d.instance.shareConfig(d.config.share), d.hosts[0].watcher, sharing, d.instance.told(d.config.share))
	awaited.Current(false, d.fleet.member.State().Began) // a reload does not begin the wait anew
	d.fleet.member.Subscribe(&d.fleet)
}

// settleOthers waits until other hosts are known, or etcd has turned out to be away.
func (d *Docker) settleOthers(timeout <-chan struct{}) {
	if d.fleet.member == nil {
		return
	}
	select {
	case <-d.fleet.member.Settled():
	case <-timeout:
	}
}

// leave ends what join began.
func (d *Docker) leave() {
	if d.fleet.member != nil {
		d.fleet.member.Unsubscribe(&d.fleet)
		d.fleet.member.Leave()
	}
}

// otherHosts are what there is to say of the hosts that tell of themselves.
func (d *Docker) otherHosts() (hosts []status.Host) {
	if d.fleet.member == nil {
		return nil
	}
	s := d.fleet.member.State()
	for _, o := range s.Others {
		if d.host(o.Host) != nil {
			continue
		}
		p := d.catalog.Presence(o.Host)
		h := status.Host{
			ID: o.Host, Named: d.fleet.name(o.Host) != "", Endpoint: "etcd " + d.config.share.Path + "/" + string(o.Host) + "/",
			Connected: o.Here && !o.Away, Synced: o.Here, State: presenceName(p), Since: p.Since, Containers: o.Containers, LastError: o.Why,
		}
		if !o.Here {
			h.State = "refused"
		}
		if !s.Reached && s.Err != nil {
			h.LastError, h.ErrorAt, h.Cure = "etcd: "+s.Err.Error(), s.ErrAt, share.Cure(s.Err)
		}
		hosts = append(hosts, h)
	}
	return hosts
}

// shareTroubles says what is wrong with sharing now.
func (d *Docker) shareTroubles() (troubles []string) {
	if d.fleet.member == nil {
		return nil
	}
	s := d.fleet.member.State()
	if s.Err != nil && (!s.Reached || !s.Owned) {
		troubles = append(troubles, fmt.Sprintf("Sharing through etcd: %v%s", s.Err, withCure(share.Cure(s.Err))))
	}
	if s.Skipped > 0 {
		troubles = append(troubles, fmt.Sprintf("Sharing through etcd: %d keys are of no host; %s", s.Skipped, s.Why))
	}
	return troubles
}

func withCure(cure string) string {
	if cure == "" {
		return ""
	}
	return ": " + cure
}
