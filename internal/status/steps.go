package status

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Steps are the sentences that lead from the question to the answer.
func (e *Explanation) Steps() []string {
	var steps []string
	add := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	if e.Zone == "" {
		add("The name lies in none of the zones: %s", some(e.Zones, 10))
	} else {
		add("The name lies in the zone %s", e.Zone)
	}
	if e.Target != "" {
		add("It is another name (CNAME) for %s", e.Target)
	}
	for i := range e.Claims {
		add("%s", e.claim(&e.Claims[i]))
	}
	if e.MoreClaims > 0 {
		add("and %d more", e.MoreClaims)
	}
	if e.Zone != "" && len(e.Claims) == 0 && e.Outcome != zone.Success && e.Outcome != zone.NoData {
		add("Nobody has it")
	}
	for i := range e.Wanting {
		add("%s", sentence(e.lack(&e.Wanting[i]).what))
	}
	if e.MoreWants > 0 {
		add("and %d more", e.MoreWants)
	}
	if len(e.Below) > 0 {
		add("Below it there is %s", atMost(e.Below, e.MoreBelow))
	}
	if len(e.Near) > 0 {
		add("Names like it: %s", strings.Join(e.Near, ", "))
	}
	for i := range e.Hosts {
		h := &e.Hosts[i]
		add("%s is %s%s", sentence(h.who()), h.State, e.since(h.Since))
	}
	switch {
	case e.Passed:
		add("%s", sentence(e.passedTo()))
	case e.Followed != "":
		add("%s is not ours: others are asked for it, which is not done here", e.Followed)
	}
	return steps
}

// rightWord is by what right the name is claimed. At the name of an address there is but one.
func (e *Explanation) rightWord(r zone.Rank) string {
	if zone.IsReverse(e.Name) {
		return "address"
	}
	return rightWords[r]
}

// rightText is rightWord for people.
func (e *Explanation) rightText(r zone.Rank) string {
	if zone.IsReverse(e.Name) {
		return "its address"
	}
	return rightTexts[r]
}

// claim is what became of a claim, as a sentence.
func (e *Explanation) claim(c *Claim) string {
	var b strings.Builder
	if c.Proxy {
		fmt.Fprintf(&b, "%s is a front proxy for it, and ", sentence(e.who(c.Entry)))
	} else {
		fmt.Fprintf(&b, "%s claims it by %s, and ", sentence(e.who(c.Entry)), e.rightText(c.Rank))
	}
	switch {
	case c.Reason == zone.LostTo:
		fmt.Fprintf(&b, "does not get it: it is %s, by %s", e.possessive(c.Winner), rightTexts[c.Right])
	case c.Reason == zone.Answers && len(c.Addrs) == 0:
		b.WriteString("has it")
	default:
		b.WriteString(reasonTexts[c.Reason])
	}
	if state := c.state(); state != "well" && c.Reason != zone.HasEnded {
		fmt.Fprintf(&b, " (%s)", strings.ReplaceAll(state, "_", " "))
	}
	for i, ip := range c.Addrs {
		if i == maxAddrs {
			fmt.Fprintf(&b, ", and %d more", len(c.Addrs)-i)
			break
		}
		b.WriteString(map[bool]string{true: ": ", false: ", "}[i == 0] + ip.String())
		if n := c.network(ip); n != "" {
			b.WriteString(" on " + Quoted(n))
		}
	}
	for i, k := range c.Kept {
		if i == maxAddrs {
			fmt.Fprintf(&b, "; and %d more", len(c.Kept)-i)
			break
		}
		fmt.Fprintf(&b, "; not %s on %s: %s", k.IP, Quoted(c.networkName(k.Network)), hindranceTexts[k.By])
	}
	if c.Reason == zone.NotReachable && c.Ports != zone.Given {
		fmt.Fprintf(&b, "; %s", hindranceTexts[c.Ports])
	}
	return b.String()
}

// maxAddrs is how many addresses a sentence names.
const maxAddrs = 8

// state is how the container is, in the words of which a program may read: well, unhealthy, paused, stopping, or held.
func (c *Claim) state() string {
	switch {
	case c.Entry.Held:
		return "held"
	case c.Entry.Draining && c.About != nil && c.About.Facts != nil && c.About.Facts.Paused:
		return "paused"
	case c.Entry.Draining:
		return "stopping"
	case c.Entry.Sick:
		return "unhealthy"
	default:
		return "well"
	}
}

// network returns the name of the container's network on which the address is its, "" if it is the host's.
func (c *Claim) network(ip netip.Addr) string {
	for _, a := range c.Entry.Addresses {
		if a.IP == ip {
			return c.networkName(a.Network)
		}
	}
	return ""
}

// networkName is the network's as the container has it. The ID of one that spans hosts tells nobody anything.
func (c *Claim) networkName(id container.NetworkID) string {
	if c.About != nil && c.About.Facts != nil {
		for _, a := range c.Entry.Addresses {
			if a.Network != id {
				continue
			}
			for _, ep := range c.About.Facts.Connections() {
				if slices.Contains(ep.Addrs, a.IP) {
					return ep.Network
				}
			}
		}
	}
	if name := c.serviceNetwork(id); name != "" {
		return name
	}
	return id.String()
}

// who is an entry as a sentence has it.
func (e *Explanation) who(entry *zone.Entry) string {
	return e.kind(entry) + e.on(entry)
}

func (e *Explanation) possessive(entry *zone.Entry) string {
	return e.kind(entry) + "'s" + e.on(entry)
}

// kind is what the entry is, with its name.
func (e *Explanation) kind(entry *zone.Entry) string {
	name := Quoted(entry.Name)
	switch {
	case entry.IsHost():
		return "host " + name
	case entry.IsService():
		return "service " + name
	case entry.Swarm != nil && entry.Swarm.Service != "":
		return "task " + name
	default:
		return "container " + name
	}
}

// on says whose a container is where there are several hosts.
func (e *Explanation) on(entry *zone.Entry) string {
	if entry.IsHost() || entry.Swarm != nil {
		return ""
	}
	return e.onHost(entry.Host)
}

func (e *Explanation) onHost(host container.HostID) string {
	if !e.Several {
		return ""
	}
	return " on " + Quoted(string(host))
}

// passedTo says who answers in our place.
func (e *Explanation) passedTo() string {
	if e.Next == "" {
		return "no plugin follows that could answer"
	}
	return "the next plugin answers: " + e.Next
}
