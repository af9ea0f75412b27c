// Package swarm tells what the services of Docker Swarms are, and which of their tasks serve.
//
// A Swarm's managers know all of it, each of them alike: whichever of them answers speaks for all. No event tells of a task,
// so that they are asked for tasks each second, and for all when an event says that something may have changed. A worker is told
// of nothing but the networks that its own tasks are on; without a manager these are what is known.
package swarm

import "github.com/dockerdiscovery/dockerdiscovery/internal/container"

// Sink takes what is found of Swarms. Its methods are called one at a time. A new sink is told first what is known: Nodes, Apply,
// Attached, Synced, Current, in this order.
type Sink interface {
	// Nodes is called with all nodes of all Swarms, by ID, before the first Apply that has tasks on them, and when they
	// have changed. The slice is never changed.
	Nodes([]container.Node)
	// Apply takes the changes of services. It must not keep the slice.
	Apply([]container.ServiceChange)
	// Attached is called with all that is known of containers which are no tasks, by connection ID, when that has changed.
	// The slice is never changed. Who is on a host that is watched is among them: its Connection's ID tells.
	Attached([]container.Attached)
	// Synced is called once, after Apply has had all services of all Swarms, or when no Swarm can be asked.
	Synced()
	// Current is called when what is known of a Swarm has become what it says, and when that is no longer so: then no manager
	// of it answers, and all stands as it was last known.
	Current(container.SwarmState)
}
