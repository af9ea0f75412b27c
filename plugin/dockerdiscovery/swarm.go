package dockerdiscovery

import "github.com/dockerdiscovery/dockerdiscovery/internal/swarm"

// watchSwarm begins to watch the Swarms of which the hosts are nodes, if the Corefile has it.
func (d *Docker) watchSwarm() {
	if !d.config.swarm {
		return
	}
	var members []swarm.Member
	for _, h := range d.hosts {
		members = append(members, swarm.Member{Engine: h.watcher, Host: h.id, At: at(h.Source())})
	}
	d.swarm = swarm.Watch(members, aboutContainers.logf)
	d.swarm.Subscribe(d.catalog.Swarm())
}

// settleSwarm waits until a Swarm's services are known, or nobody can tell them. It reports whether that is so.
func (d *Docker) settleSwarm(timeout <-chan struct{}) bool {
	if d.swarm == nil {
		return true
	}
	select {
	case <-d.swarm.Settled():
		return true
	case <-timeout:
		return false
	}
}

// leaveSwarm ends what watchSwarm began.
func (d *Docker) leaveSwarm() {
	if d.swarm != nil {
		d.swarm.Unsubscribe(d.catalog.Swarm())
		d.swarm.Release()
	}
}
