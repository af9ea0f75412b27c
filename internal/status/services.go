package status

import (
	"fmt"
	"net/netip"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// noTask is for a service of which no task serves.
func (e *Explanation) noTask(c *Claim) finding {
	name := Quoted(c.Entry.Name)
	f := finding{NoTask, "no task of service " + name + " runs and is healthy", "see why: docker service ps --no-trunc " + name}
	if c.About != nil && c.About.Service != nil && c.About.Service.Replicas > 0 {
		f.what += fmt.Sprintf(", of %d that it is to have", c.About.Service.Replicas)
	}
	return f
}

// serviceNotReached is for a service, or a task of its, that is on no network of who asks, and publishes no port there.
func (e *Explanation) serviceNotReached(c *Claim) finding {
	who := e.who(c.Entry)
	cure := "publish a port: docker service update --publish-add 80:80 " + Quoted(c.serviceName())
	if e.Asker == zone.Elsewhere {
		cure += ", and write publish into the docker block"
	}
	switch {
	case c.About != nil && c.About.Service != nil && c.About.Service.Partial:
		return finding{NotPublished, who + " is known from a worker alone, which can't tell of its published ports", "write a manager of the Swarm as an endpoint with swarm"}
	case e.Asker == zone.Elsewhere:
		return finding{NotPublished, who + " publishes no port: who is elsewhere gets no address", cure}
	case c.Entry.IsService():
		return finding{NotPublished, "no task of " + who + " runs on the asker's host, and it publishes no port", cure}
	default:
		return finding{NotReachable, who + " does not run on the asker's host, and publishes no port of its own", "ask from a container on its network, or publish a port"}
	}
}

// serviceName is the service's of which the claim is, or of whose task.
func (c *Claim) serviceName() string {
	if c.About != nil && c.About.Service != nil {
		return c.About.Service.Name
	}
	return c.Entry.Name
}

// serviceNetwork returns the name of the service's network, "" if it is none of a service's, or the name is not known.
func (c *Claim) serviceNetwork(id container.NetworkID) string {
	if c.About == nil || c.About.Service == nil {
		return ""
	}
	for i := range c.About.Service.Networks {
		if n := &c.About.Service.Networks[i]; container.SpanningNetwork(n.ID) == id {
			return n.Name
		}
	}
	return ""
}

// joinable returns the networks of the claimant that containers may be put on later.
func (c *Claim) joinable() (names []string) {
	switch {
	case c.About == nil:
	case c.About.Facts != nil:
		for _, ep := range c.About.Facts.Endpoints {
			if ep.Network != "bridge" && ep.Network != "podman" {
				names = append(names, ep.Network)
			}
		}
	case c.About.Service != nil:
		for i := range c.About.Service.Networks {
			if n := &c.About.Service.Networks[i]; !n.Ingress && n.Name != "" {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// networksOf are the service's networks with its virtual addresses there.
func networksOf(s *container.Service) []Network {
	networks := []Network{}
	for i := range s.Networks {
		n := &s.Networks[i]
		shown := Network{n.Name, n.VIPs, n.Aliases}
		if n.Ingress || n.VIPs == nil { // what nobody is given
			shown.Addresses = []netip.Addr{}
		}
		networks = append(networks, shown)
	}
	return networks
}

// tasksOf says how many tasks of the service serve.
func tasksOf(s *container.Service) string {
	of := ""
	if s.Replicas > 0 {
		of = fmt.Sprintf(" of %d", s.Replicas)
	}
	if len(s.Tasks) == 1 && of == "" {
		return "1 task"
	}
	return fmt.Sprintf("%d%s tasks", len(s.Tasks), of)
}
