package status

import (
	"cmp"
	"slices"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// reasonWords are what programs read of what became of a claim. They never change.
var reasonWords = map[zone.Reason]string{
	zone.Answers: "answers", zone.LostTo: "lost_to", zone.Nearer: "nearer", zone.Ambiguous: "ambiguous", zone.HasEnded: "ended", zone.NoAddress: "no_address",
	zone.OtherNetwork: "other_network", zone.NotReachable: "not_reachable", zone.OtherHost: "other_host", zone.HostAway: "host_away", zone.Unwell: "unwell",
	zone.NotCertain: "not_certain", zone.Hidden: "hidden", zone.CNAMEBeside: "cname_beside", zone.Nameless: "nameless",
	zone.NoTask: "no_task", zone.ByProxy: "by_proxy", zone.NoProxy: "no_proxy", zone.ByOthers: "by_others",
}

// reasonTexts say it to people.
var reasonTexts = map[zone.Reason]string{
	zone.Answers: "answers", zone.Nearer: "does not answer, since others of the name are nearer to who asks",
	zone.Ambiguous: "does not answer, since several projects, networks or hosts mean different things by the name",
	zone.HasEnded:  "has ended, and its name is held", zone.NoAddress: "has no address",
	zone.OtherNetwork: "shares no network with who asks", zone.NotReachable: "is not reached by who asks",
	zone.OtherHost: "does not answer, since the asker's own host has the name", zone.HostAway: "does not answer, since its host's engine can't be asked, and other hosts have the name",
	zone.Unwell: "does not answer, since it is not well", zone.NotCertain: "does not answer before its host has told all of its containers",
	zone.Hidden: "is hidden from who asks", zone.CNAMEBeside: "does not answer, since a CNAME gives way to all else at its name",
	zone.Nameless: "does not answer, since each of its own names is another container's",
	zone.NoTask:   "does not answer, since none of its tasks serves", zone.ByOthers: "leaves the answer to others of its service",
	zone.ByProxy: "leaves the answer to its proxy", zone.NoProxy: "does not answer, since its proxy is to, and there is none",
}

// rightWords are by what right a name is claimed. They never change.
var rightWords = map[zone.Rank]string{
	zone.ByHost: "host", zone.ByName: "container_name", zone.ByID: "id", zone.ByTwin: "hyphen_twin", zone.ByService: "service", zone.ByTask: "task", zone.ByProject: "project_or_network", zone.Shared: "shared",
}

var rightTexts = map[zone.Rank]string{
	zone.ByHost: "the name of a host in the Corefile", zone.ByName: "its container name", zone.ByID: "its ID", zone.ByTwin: "its container name with hyphens",
	zone.ByService: "a name of its service", zone.ByTask: "a name of its service's tasks, or one with hyphens",
	zone.ByProject: "a name of its project or network", zone.Shared: "an alias, host name, label, template or dotted name",
}

// hindranceWords are what keeps an address from who asks. They never change.
var hindranceWords = map[zone.Hindrance]string{
	zone.Given: "given", zone.NotNeeded: "not_needed", zone.NotMeant: "not_meant", zone.NotOnNetwork: "not_on_network", zone.NotShared: "not_shared",
	zone.NoWayThere: "no_way_there", zone.OnLANOnly: "on_lan_only", zone.WithinHost: "within_host", zone.NotForwarded: "not_forwarded", zone.Confined: "confined",
	zone.OtherFamily: "other_family", zone.NoPorts: "no_ports", zone.NotToPublish: "not_to_publish", zone.NoHostAddr: "no_host_address",
}

// hindranceTexts say it to people, of an address or of published ports.
var hindranceTexts = map[zone.Hindrance]string{
	zone.NotNeeded:    "others are nearer, or preferred",
	zone.NotMeant:     "the name is for another network",
	zone.NotOnNetwork: "who asks is not on the network",
	zone.NotShared:    "not even containers of the network reach each other there",
	zone.NoWayThere:   "the host has no way into the network",
	zone.OnLANOnly:    "it is reached from the LAN",
	zone.WithinHost:   "it is reached from its own host and network alone",
	zone.NotForwarded: "the host leads from the asker's networks to no other",
	zone.Confined:     "nothing leads out of the asker's networks, which are internal",
	zone.OtherFamily:  "who asks has no address of that family",
	zone.NoPorts:      "it publishes no port that others reach",
	zone.NotToPublish: "its ports are published, but the Corefile has no publish",
	zone.NoHostAddr:   "no address is known at which who asks reaches its host",
}

// why says why the claim does not answer, "" if it does.
func (e *Explanation) why(c *Claim) string {
	if c.Reason == zone.Answers {
		return ""
	}
	return e.out(c).what
}

// out is for a claim that decides by why it does not answer.
func (e *Explanation) out(c *Claim) finding {
	who := e.who(c.Entry)
	switch c.Reason {
	case zone.Unwell:
		f := e.unwell(c)
		if c.Entry.RequireWell {
			f.what += ", and has to be well to answer"
		}
		return f
	case zone.HasEnded:
		return finding{Held, who + " ended" + e.ago(c.About, catalog.Ended, catalog.Removed) + "; its name is held without an address", "start it, or wait: the name goes soon"}
	case zone.NotReachable:
		return e.notReached(c)
	case zone.NoTask:
		return e.noTask(c)
	case zone.ByProxy:
		return finding{NoType, who + " leaves the answer to its proxy", ""}
	case zone.NoProxy:
		return e.noProxy(who)
	case zone.ByOthers:
		return finding{NoType, who + " leaves the answer to others of its service", ""}
	case zone.OtherNetwork:
		return e.apart(c, Isolated)
	case zone.NoAddress:
		if c.Entry.Joined || c.About != nil && c.About.Facts != nil && c.About.Facts.Joined() != "" {
			return finding{NoAddress, who + " uses the network of a container that does not run", "start that container, and then this one anew"}
		}
		return finding{NoAddress, who + " is on no network", "put it on one: docker network connect NETWORK " + Quoted(c.Entry.Name)}
	case zone.Ambiguous:
		return e.ambiguous()
	case zone.Hidden:
		if e.Isolate && e.Asker == zone.Container {
			return e.apart(c, Isolated)
		}
		return finding{OutOfScope, "in zone . the name exists for the Docker host, and on the networks of " + who + ", alone", "ask from there, or serve a zone of your own"}
	case zone.NotCertain:
		return e.notReady()
	case zone.HostAway:
		if h := e.away(c.Entry.ToldBy()); h != nil {
			return e.hostAway(h, "other hosts have the name")
		}
		return finding{HostAway, "the engine of " + who + " can't be asked, and other hosts have the name", ""}
	case zone.OtherHost:
		return finding{Held, "the asker's own host has the name for a container that restarts; " + who + " is another host's", "start it, or wait: the name goes soon"}
	case zone.Nearer:
		return finding{OtherNetwork, "others of the name are nearer to " + e.asker() + " than " + who, "ask for a name of its own, as its container name"}
	case zone.CNAMEBeside:
		return finding{Lost, who + " has a CNAME at a name that has other records too", "leave the CNAME, or the others, out"}
	case zone.Nameless:
		return finding{Lost, who + " serves there, but each of its names is another container's", "give the container a name of its own"}
	default:
		return finding{Lost, "the name is " + e.possessive(c.Winner) + ", by " + rightTexts[c.Right] + "; " + who + " does not get it", "give one of the two another name"}
	}
}

// noProxy is for a container that leaves the answer to a proxy of which there is none.
func (e *Explanation) noProxy(who string) finding {
	f := finding{NoProxy, who + " leaves the answer to its proxy, and the Corefile names none", "name it in the docker block: proxy CONTAINER"}
	if len(e.Proxies) > 0 {
		f.what = who + " leaves the answer to its proxy, and none runs that is called " + some(e.Proxies, 3)
		f.cure = "start the proxy, or name another one in the docker block: proxy CONTAINER"
	}
	return f
}

// unwell says how a container is not well.
func (e *Explanation) unwell(c *Claim) finding {
	who, name := e.who(c.Entry), Quoted(c.Entry.Name)
	facts := (*container.Container)(nil)
	if c.About != nil {
		facts = c.About.Facts
	}
	switch {
	case c.Entry.Draining && facts != nil && facts.Paused:
		return finding{Paused, who + " is paused", "docker unpause " + name}
	case c.Entry.Draining:
		return finding{Stopping, who + " was told to stop", "wait until it has stopped, and start it"}
	default:
		return finding{Unhealthy, who + " is unhealthy", "see why its health check fails (docker inspect " + name + "), or have health ignored: the label " + e.LabelPrefix + "health=ignore"}
	}
}

// notReached is for a container of which who asks reaches no address.
func (e *Explanation) notReached(c *Claim) finding {
	who := e.who(c.Entry)
	if e.Forwarded {
		return finding{Forwarded, e.From + " asks for others, who count as elsewhere: " + who + " " + e.unreached(c), "let the clients ask this server itself, or publish the port and write publish"}
	}
	if e.Asker == zone.Container && c.Ports != zone.Confined {
		for _, k := range c.Kept {
			if k.By == zone.NotOnNetwork {
				return e.apart(c, OtherNetwork)
			}
		}
	}
	switch c.Ports {
	case zone.NotToPublish:
		return finding{PublishOff, who + "'s ports are published, but the Corefile has no publish", "write publish into the docker block"}
	case zone.NoHostAddr:
		return finding{NotReachable, "no address is known at which " + e.asker() + " reaches the host of " + who, "write it: publish ADDRESS, or after the endpoint's NAME"}
	case zone.Confined:
		return finding{NotReachable, "nothing leads out of the networks of " + e.asker() + ", which are internal, to " + who, "put both on one network"}
	case zone.NoPorts:
		switch {
		case c.Entry.Swarm != nil:
			return e.serviceNotReached(c)
		case e.Asker != zone.Elsewhere:
		case c.opens():
			return finding{NotPublished, who + " publishes its ports on a loopback address alone", "publish them on an address of the host's, as in docker run -p 80:80"}
		default:
			return finding{NotPublished, who + " publishes no port: who is elsewhere gets no address", "publish a port (docker run -p), and write publish into the docker block"}
		}
	}
	f := finding{NotReachable, e.asker() + " reaches no address of " + who + ": " + e.unreached(c), "put it on a bridge network too, or publish a port"}
	if c.Entry.HostNetwork {
		f.what, f.cure = "no address is known at which "+e.asker()+" reaches the host of "+who, "write it: publish ADDRESS, or after the endpoint's NAME"
	}
	return f
}

// opens reports whether the container publishes ports: where these are none of the host's they are its loopback's.
func (c *Claim) opens() bool {
	return c.About != nil && c.About.Facts != nil && slices.ContainsFunc(c.About.Facts.Ports, func(p container.Port) bool { return p.Open })
}

// unreached says why who asks reaches nothing of the container.
func (e *Explanation) unreached(c *Claim) string {
	switch {
	case c.Ports > zone.NoPorts:
		return hindranceTexts[c.Ports]
	case e.Asker == zone.Elsewhere && c.Ports == zone.NoPorts:
		return "publishes no port"
	}
	for _, k := range c.Kept {
		if k.By != zone.NotMeant && k.By != zone.NotNeeded {
			return "on " + Quoted(c.networkName(k.Network)) + ", " + hindranceTexts[k.By]
		}
	}
	return "the name is for a network that is not reached"
}

// apart is for a container that shares no network with the one that asks.
func (e *Explanation) apart(c *Claim, cause Cause) finding {
	what := e.who(c.Entry) + " shares no network with " + e.asker()
	if cause == Isolated {
		what += ", and isolate hides it"
	}
	cure := "put both on one network"
	for _, network := range c.joinable() {
		cure += ": docker network connect " + Quoted(network) + " " + Quoted(cmp.Or(e.Client, "CONTAINER"))
		break
	}
	if e.Resolver {
		cure += "; or, if " + e.From + " is a resolver that asks for others, name its address in forwarders"
	}
	return finding{cause, what, cure}
}

// asker is who asks, as a sentence has it that speaks of others.
func (e *Explanation) asker() string {
	switch {
	case e.Client != "":
		return "container " + Quoted(e.Client)
	case e.Asker == zone.Container:
		return "the container that asks"
	case e.Asker == zone.Host:
		return "the Docker host"
	default:
		return "who is elsewhere"
	}
}

// ambiguous is for a name by which several mean different things.
func (e *Explanation) ambiguous() finding {
	var who, names []string
	for i := range e.Claims {
		c := &e.Claims[i]
		if c.Reason != zone.Ambiguous {
			continue
		}
		text := Quoted(c.Entry.Name)
		if c.Entry.Project != "" {
			text += " of " + Quoted(c.Entry.Project)
		}
		who = append(who, text)
		if i := slices.IndexFunc(c.Entry.Claims, e.clear); i >= 0 {
			names = append(names, c.Entry.Claims[i].Name)
		}
	}
	f := finding{Ambiguous, "several mean different things by the name: " + some(who, 3), "ask for a name of one alone, as its container name"}
	if slices.Sort(names); len(names) > 0 {
		f.cure = "ask for " + some(slices.Compact(names), 4)
	}
	return f
}

// clear reports whether the claim is to a name in the zone that means one project's, network's or host's alone.
func (e *Explanation) clear(c zone.Claim) bool {
	return c.Rank == zone.ByProject && !c.Bare && c.Data == nil && dns.IsSubDomain(e.Zone, c.Name)
}

// noType is for a name that has no record of the type.
func (e *Explanation) noType() finding {
	for i := range e.Claims {
		c := &e.Claims[i]
		if c.About == nil || c.Reason != zone.Answers || e.forAddresses() {
			continue
		}
		for j := range c.About.Skipped {
			if s := &c.About.Skipped[j]; s.What == "records" {
				return e.refused(e.who(c.Entry), s)
			}
		}
	}
	f := finding{NoType, "the name has no " + typeName(e.Type) + " record", ""}
	switch {
	case e.Type == dns.TypeA:
		f.what = "the name has no IPv4 address (A)"
	case e.Type == dns.TypeAAAA:
		f.what = "the name has no IPv6 address (AAAA)"
	case !zone.IsReverse(e.Name):
		f.cure = "the label " + e.LabelPrefix + "records gives a container such records"
	}
	return f
}
