package status

import (
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Cause is the one thing that decides what the answer is. Programs read it: what it says never changes.
type Cause string

// The causes.
const (
	Answered Cause = "answered" // somebody answers, and there is nothing else to say

	NoZone     Cause = "no_zone"      // the name lies in no zone of the block's
	NoSuchName Cause = "no_such_name" // nobody has the name, or could be expected to
	NamesBelow Cause = "names_below"  // nobody has the name itself, but names below it exist
	NoType     Cause = "no_type"      // the name has no record of the type
	Passed     Cause = "passed"       // nobody has the name, and the next plugin answers for such names

	LeftOutByLabel Cause = "left_out_label"  // its label leaves the container out
	NotOptedIn     Cause = "left_out_opt_in" // with opt_in, the container has no label that lets it in
	Filtered       Cause = "left_out_filter" // the Corefile's filters don't let the container in
	BadName        Cause = "bad_name"        // what the container is called can't be a name in DNS
	LabelRefused   Cause = "label_refused"   // a label of the container's is refused
	SourceOff      Cause = "source_off"      // the name comes from a source that does not count

	Isolated     Cause = "isolated"      // with isolate, what shares no network with the container that asks is hidden from it
	OutOfScope   Cause = "out_of_scope"  // in zone . the name exists for some askers alone
	OtherNetwork Cause = "other_network" // the container that asks shares no network with who has the name
	NotPublished Cause = "not_published" // no port is published where the asker could reach it
	PublishOff   Cause = "publish_off"   // ports are published, and not to be answered for
	NotReachable Cause = "not_reachable" // the asker reaches no address
	NoAddress    Cause = "no_address"    // who has the name has no address
	NoTask       Cause = "no_task"       // no task serves of the Swarm's service that has the name
	NoProxy      Cause = "no_proxy"      // a proxy is to answer for the name, and there is none
	Forwarded    Cause = "forwarded"     // a resolver in between asks: who asks it is not known

	Unhealthy  Cause = "unhealthy"   // its health check fails
	Paused     Cause = "paused"      // it is paused
	Stopping   Cause = "stopping"    // it was told to stop
	Held       Cause = "held"        // it has just ended
	Ended      Cause = "ended"       // it has ended, and its names have gone
	NotStarted Cause = "not_started" // it was created, and never started
	Starting   Cause = "starting"    // it is just being started
	Unread     Cause = "unread"      // its facts can't be read

	Lost      Cause = "lost"      // another container has the better right
	Ambiguous Cause = "ambiguous" // the name means different things

	NotReady      Cause = "not_ready"      // a host has not told its containers yet
	HostAway      Cause = "host_away"      // a host's engine can't be asked: the answer may no longer be so
	HostForgotten Cause = "host_forgotten" // it can't be asked for so long that its names have gone
)

// deciding are the reasons why somebody who claims the name does not answer, those first that decide where there are several.
// Those after the first ones decide only where nobody answers at all.
var deciding = []zone.Reason{
	zone.Unwell, zone.HasEnded, zone.NoTask, zone.NoProxy, zone.NotReachable, zone.OtherNetwork, zone.NoAddress, zone.Ambiguous,
	zone.Hidden, zone.NotCertain, zone.HostAway, zone.OtherHost, zone.Nearer, zone.LostTo, zone.CNAMEBeside, zone.Nameless, zone.ByProxy, zone.ByOthers,
}

const certain = 8 // of deciding: with these somebody has the name

// finding is the cause with what there is to say of it.
type finding struct {
	cause Cause
	what  string // as short as the text of an extended DNS error has to be; "" if there is nothing to say
	cure  string
}

// Conclude finds the cause, by all that is set.
func (e *Explanation) Conclude() {
	e.finding = e.conclude()
	e.Cause = e.finding.cause
}

func (e *Explanation) conclude() finding {
	switch {
	case e.Outcome == zone.NotOurs:
		return e.noZone()
	case e.Unready:
		return e.notReady()
	case e.Outcome == zone.Success:
		return e.answered()
	case len(e.Claims) > 0:
		return e.claimed()
	default:
		return e.unclaimed()
	}
}

// noZone is for a name that lies in none of the zones.
func (e *Explanation) noZone() finding {
	if len(e.Wanting) > 0 && e.Wanting[0].Name != "" {
		return e.lack(&e.Wanting[0])
	}
	f := finding{NoZone, "the name lies in none of the zones " + some(e.Zones, 4), "ask for a name in one of the zones, or write the zone after docker in the Corefile"}
	if len(e.Near) > 0 {
		f.what = "the name lies in no zone of this block; did you mean " + e.Near[0]
		f.cure = "ask for " + e.Near[0] + ", or write the zone after docker in the Corefile; its zones are " + some(e.Zones, 10)
	}
	return f
}

// notReady is for an answer that can't be given yet.
func (e *Explanation) notReady() finding {
	f := finding{NotReady, "a host has not told its containers yet", "wait: it is asked again and again"}
	for i := range e.Hosts {
		if h := &e.Hosts[i]; !h.Synced {
			f.what = h.yetToTell() + " yet"
			if h.LastError != "" {
				f.cure = h.trouble()
			}
			break
		}
	}
	return f
}

// answered is for an answer with records.
func (e *Explanation) answered() finding {
	unwell := (*Claim)(nil)
	for i := range e.Claims {
		switch c := &e.Claims[i]; {
		case c.Reason != zone.Answers:
		case e.Stale && e.away(c.Entry.ToldBy()) != nil:
			return e.hostAway(e.away(c.Entry.ToldBy()), "its last state answers")
		case !c.Entry.Sick && !c.Entry.Draining, len(c.Addrs) == 0, !e.forAddresses():
			return finding{cause: Answered}
		case unwell == nil:
			unwell = c
		}
	}
	if unwell != nil {
		f := e.unwell(unwell)
		f.what += ", and answers since nobody else does"
		return f
	}
	return finding{cause: Answered}
}

// claimed is for a name that containers claim, and that has no such record.
func (e *Explanation) claimed() finding {
	has := false
	for i := range e.Claims {
		has = has || e.Claims[i].Reason == zone.Answers
	}
	for i, reason := range deciding {
		if i >= certain && has || i < certain && !e.forAddresses() && reason != zone.HasEnded {
			continue
		}
		if c := e.first(reason); c != nil {
			return e.out(c)
		}
	}
	return e.noType()
}

// first returns the first claim of the reason, nil if there is none: of those that are not reached one with ports that could be.
func (e *Explanation) first(reason zone.Reason) (first *Claim) {
	for i := range e.Claims {
		if c := &e.Claims[i]; c.Reason == reason && (first == nil || first.Ports == zone.NoPorts && c.Ports > zone.NoPorts) {
			first = c
		}
	}
	return first
}

// forAddresses reports whether the answer depends on which addresses the asker reaches.
func (e *Explanation) forAddresses() bool {
	switch e.Type {
	case dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeANY:
		return true
	default:
		return false
	}
}

// unclaimed is for a name that nobody claims.
func (e *Explanation) unclaimed() finding {
	var unread *finding
	if len(e.Wanting) > 0 {
		f := e.lack(&e.Wanting[0])
		if e.Wanting[0].Name != "" {
			return f
		}
		unread = &f
	}
	switch {
	case e.Starting:
		return finding{Starting, "a container that may have the name is just being started", "ask again: the query itself waits for it"}
	case e.Outcome == zone.NoData: // the zone's own names
		return e.noType()
	case e.Outcome == zone.EmptyNonTerminal && !e.Passed:
		return finding{NamesBelow, "nobody has the name itself, only names below it, as " + some(e.Below, 1), "ask for one of these: " + atMost(e.Below, e.MoreBelow)}
	case e.Passed && e.Zone == ".": // which is shared with the Internet: what is not known here says nothing of the name
		return e.noSuchName()
	}
	for i := range e.Hosts {
		switch h := &e.Hosts[i]; h.State {
		case "away":
			return e.hostAway(h, "nobody else has the name"+e.orMeant())
		case "forgotten":
			return finding{HostForgotten, h.who() + " has been away for too long: its names have gone", h.trouble()}
		case "overdue", "unsynced":
			return finding{NotReady, "nobody is known to have the name, and " + h.yetToTell(), h.trouble()}
		}
	}
	if unread != nil {
		return *unread
	}
	return e.noSuchName()
}

// noSuchName is for a name that nobody has, or could be expected to.
func (e *Explanation) noSuchName() finding {
	f := finding{NoSuchName, "no container has the name", "look at docker ps how the container is called, and at the names that there are"}
	if e.Passed {
		f.cause, f.what = Passed, "no container has the name, and "+e.passedTo()
	}
	if f.what += e.orMeant(); len(e.Near) > 0 {
		f.cure = "ask for " + e.Near[0]
	}
	return f
}

// orMeant asks whether another name is meant, if there is one that may be.
func (e *Explanation) orMeant() string {
	if len(e.Near) == 0 {
		return ""
	}
	return "; did you mean " + e.Near[0]
}

// away returns the host if its engine can't be asked, else nil.
func (e *Explanation) away(id container.HostID) *Host {
	for i := range e.Hosts {
		if h := &e.Hosts[i]; h.ID == id && h.State == "away" {
			return h
		}
	}
	return nil
}
