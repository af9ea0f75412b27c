package status

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// reasonWords are what programs read of what became of a claim. They never change.
var reasonWords = map[zone.Reason]string{
	zone.Answers: "answers", zone.LostTo: "lost_to", zone.Nearer: "nearer", zone.Ambiguous: "ambiguous", zone.HasEnded: "ended", zone.NoAddress: "no_address",
	zone.OtherNetwork: "other_network", zone.NotReachable: "not_reachable", zone.OtherHost: "other_host", zone.HostAway: "host_away", zone.Unwell: "unwell",
	zone.NotCertain: "not_certain", zone.Hidden: "hidden", zone.CNAMEBeside: "cname_beside", zone.Nameless: "nameless",
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
}

// rightWords are by what right a name is claimed. They never change.
var rightWords = map[zone.Rank]string{
	zone.ByHost: "host", zone.ByName: "container_name", zone.ByID: "id", zone.ByTwin: "hyphen_twin", zone.ByProject: "project_or_network", zone.Shared: "shared",
}

var rightTexts = map[zone.Rank]string{
	zone.ByHost: "the name of a host in the Corefile", zone.ByName: "its container name", zone.ByID: "its ID", zone.ByTwin: "its container name with hyphens",
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
		if h := e.away(c.Entry.Host); h != nil {
			return e.hostAway(h, "other hosts have the name")
		}
		return finding{HostAway, "the engine of " + who + " can't be asked, and other hosts have the name", ""}
	case zone.OtherHost:
		return finding{Held, "the asker's own host has the name for a container that restarts; " + who + " is another host's", "start it, or wait: the name goes soon"}
	case zone.Nearer:
		return e.apart(c, OtherNetwork)
	case zone.CNAMEBeside:
		return finding{Lost, who + " has a CNAME at a name that has other records too", "leave the CNAME, or the others, out"}
	case zone.Nameless:
		return finding{Lost, who + " serves there, but each of its names is another container's", "give the container a name of its own"}
	default:
		return finding{Lost, "the name is " + e.possessive(c.Winner) + ", by " + rightTexts[c.Right] + "; " + who + " does not get it", "give one of the two another name"}
	}
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
	if c.About != nil && c.About.Facts != nil {
		for _, ep := range c.About.Facts.Endpoints {
			if ep.Network != "bridge" && ep.Network != "podman" { // where containers may not be put later
				cure += ": docker network connect " + Quoted(ep.Network) + " " + Quoted(cmp.Or(e.Client, "CONTAINER"))
				break
			}
		}
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
		if c.About == nil || c.Reason != zone.Answers {
			continue
		}
		for j := range c.About.Skipped {
			if s := &c.About.Skipped[j]; s.What == "records" {
				return e.refused(e.who(c.Entry), s)
			}
		}
	}
	f := finding{NoType, "the name has no " + typeName(e.Type) + " record", ""}
	switch e.Type {
	case dns.TypeA:
		f.what = "the name has no IPv4 address (A)"
	case dns.TypeAAAA:
		f.what = "the name has no IPv6 address (AAAA)"
	default:
		f.cure = "the label " + e.LabelPrefix + "records gives a container such records"
	}
	return f
}

// lack is for a container that could be expected to have the name.
func (e *Explanation) lack(w *catalog.Wanting) finding {
	who := "container " + Quoted(cmp.Or(w.Name, short(w.ID))) + e.on(w.Host)
	switch w.Lack {
	case catalog.LacksAll:
		return e.leftOut(who, w)
	case catalog.Refused:
		return e.refused(who, w.Refused)
	case catalog.NotNamedSo:
		return finding{SourceOff, fmt.Sprintf("%s would have the name by the source %s, which does not count", who, w.Source), fmt.Sprintf("add %s to names in the docker block", w.Source)}
	case catalog.Forgotten:
		f := finding{HostForgotten, who + " has lost its names: its host has been away for too long", ""}
		for i := range e.Hosts {
			if e.Hosts[i].ID == w.Host {
				f.cure = e.Hosts[i].trouble()
			}
		}
		return f
	case catalog.Unreadable:
		return finding{Unread, who + " can't be inspected: " + quotedText(w.Unread.Error()), "look at docker inspect " + short(w.ID) + " and the engine's log; it is tried again"}
	case catalog.NeverRan:
		return finding{NotStarted, who + " was created" + e.ago(&w.Explanation, catalog.Created) + ", and has not been started", "docker start " + Quoted(w.Name)}
	default:
		return finding{Ended, who + " ended" + e.ago(&w.Explanation, catalog.Ended, catalog.Removed) + ", and its names have gone", "docker start " + Quoted(w.Name)}
	}
}

func (e *Explanation) leftOut(who string, w *catalog.Wanting) finding {
	enable := e.LabelPrefix + "enable"
	for i := range w.Skipped {
		if w.Skipped[i].What == "enable" {
			return e.refused(who, &w.Skipped[i])
		}
	}
	if w.LeftOut == naming.Disabled {
		return finding{LeftOutByLabel, who + " is left out by its label " + enable, "take the label away, or set it to true"}
	}
	return finding{NotOptedIn, who + " is left out: with opt_in it needs the label " + enable + "=true", "set the label, or take opt_in out of the docker block"}
}

// refused is for a name or label that is refused.
func (e *Explanation) refused(who string, s *naming.Skipped) finding {
	switch {
	case s.What != "":
		return finding{LabelRefused, fmt.Sprintf("%s's label %s%s is refused: %s", who, e.LabelPrefix, Quoted(s.What), quotedText(s.Reason)), "mend the label"}
	case s.Source == naming.Label:
		return finding{LabelRefused, fmt.Sprintf("%s's label %shost is refused for %s: %s", who, e.LabelPrefix, Quoted(s.Name), quotedText(s.Reason)), "mend the label"}
	default:
		return finding{BadName, fmt.Sprintf("%s's %s name %s can't be a name: %s", who, s.Source, Quoted(s.Name), quotedText(s.Reason)), "call it otherwise, or give it a name by the label " + e.LabelPrefix + "host"}
	}
}

// hostAway is for a host whose engine can't be asked.
func (e *Explanation) hostAway(h *Host, so string) finding {
	return finding{HostAway, fmt.Sprintf("the engine of host %s can't be asked%s: %s", Quoted(string(h.ID)), e.since(h.Since), so), h.trouble()}
}

// trouble says what is wrong with a host, and what to do about it.
func (h *Host) trouble() string {
	switch {
	case h.Cure != "":
		return quotedText(h.Cure)
	case h.LastError != "":
		return "see to its engine, of which was heard last: " + quotedText(h.LastError)
	default:
		return "look at the server's log why its engine can't be asked"
	}
}

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
		add("Host %s is %s%s", Quoted(string(h.ID)), h.State, e.since(h.Since))
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
	fmt.Fprintf(&b, "%s claims it by %s, and ", sentence(e.who(c.Entry)), e.rightText(c.Rank))
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
	return id.String()
}

// who is an entry as a sentence has it.
func (e *Explanation) who(entry *zone.Entry) string {
	if entry.IsHost() {
		return "host " + Quoted(entry.Name)
	}
	return "container " + Quoted(entry.Name) + e.on(entry.Host)
}

func (e *Explanation) possessive(entry *zone.Entry) string {
	if entry.IsHost() {
		return "host " + Quoted(entry.Name) + "'s"
	}
	return "container " + Quoted(entry.Name) + "'s" + e.on(entry.Host)
}

// on says whose a container is where there are several hosts.
func (e *Explanation) on(host container.HostID) string {
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

// ago says how long ago one of these has happened to the container last, "" if it is not known to have.
func (e *Explanation) ago(c *catalog.Explanation, whats ...catalog.What) string {
	if c == nil {
		return ""
	}
	for _, event := range slices.Backward(c.Events) {
		if slices.Contains(whats, event.What) {
			return " " + duration(e.At.Sub(event.At)) + " ago"
		}
	}
	return ""
}

// since says for how long something has been so.
func (e *Explanation) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " for " + duration(e.At.Sub(t))
}

// duration writes a duration as people say it.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return "a moment"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < 10*time.Minute:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}

// short is an ID as Docker's commands print it.
func short(id string) string { return (&container.Container{ID: id}).ShortID() }

// typeName is the type as dig writes it.
func typeName(t uint16) string { return dns.Type(t).String() }

// some names the first ones of a list, and how many more there are.
func some(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return atMost(all[:most], len(all)-most)
}

func atMost(all []string, more int) string {
	text := strings.Join(all, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// sentence begins a sentence with the text.
func sentence(text string) string {
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

// stopped ends a sentence with a full stop, which a name in DNS may have already.
func stopped(text string) string { return strings.TrimSuffix(text, ".") + "." }

// Quoted is what somebody called something, as it stands if it is of letters of names, else in quotes. A terminal is not to obey
// what stands in it.
func Quoted(name string) string {
	plain := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-:/*@", r))
	})
	if plain {
		return name
	}
	return strconv.Quote(name)
}

// quotedText is a text of others as part of a sentence: what is not to be printed is written as in Go.
func quotedText(text string) string {
	q := strconv.Quote(text)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// shorten cuts the text to so many octets.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("...")], "") + "..."
}
