package status

import (
	"cmp"
	"fmt"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
)

// lack is for a container that could be expected to have the name.
func (e *Explanation) lack(w *catalog.Wanting) finding {
	who := "container " + Quoted(cmp.Or(w.Name, short(w.ID))) + e.onHost(w.Host)
	if w.Service != nil {
		who = "service " + Quoted(w.Name)
	}
	switch w.Lack {
	case catalog.LacksAll:
		return e.leftOut(who, w)
	case catalog.Refused:
		return e.refused(who, w.Refused)
	case catalog.NotNamedSo:
		if tool := w.Source.Tool(); tool != "" {
			return finding{SourceOff, fmt.Sprintf("%s would have the name by its labels for %s, which are not read", who, tool), fmt.Sprintf("write labels %s into the docker block", tool)}
		}
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
	if w.LeftOut == naming.Filtered {
		what := who + " is left out by filter"
		if lack := e.filteredBy(w); lack != "" {
			what += ": it needs " + quotedText(lack)
		}
		return finding{Filtered, what, "change the filter in the docker block, or the container so that it lets it in"}
	}
	if w.LeftOut == naming.Disabled {
		return finding{LeftOutByLabel, who + " is left out by its label " + enable, "take the label away, or set it to true"}
	}
	return finding{NotOptedIn, who + " is left out: with opt_in it needs the label " + enable + "=true", "set the label, or take opt_in out of the docker block"}
}

// filteredBy says which filter keeps the container or service out.
func (e *Explanation) filteredBy(w *catalog.Wanting) string {
	switch {
	case w.Facts != nil:
		return e.Filters.Lack(w.Facts)
	case w.Service != nil:
		return e.Filters.LackOfService(w.Service, func(i int) string { return w.Service.Networks[i].Name })
	default:
		return ""
	}
}

// refused is for a name or label that is refused.
func (e *Explanation) refused(who string, s *naming.Skipped) finding {
	switch {
	case s.Source.Tool() != "":
		return finding{LabelRefused, fmt.Sprintf("%s's labels for %s ask for %s, which is refused: %s", who, s.Source, Quoted(s.Name), quotedText(s.Reason)), "mend the label, or give it a name by the label " + e.LabelPrefix + "host"}
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
	who := "the engine of host " + Quoted(string(h.ID)) + " can't be asked"
	if h.Swarm {
		who = "no manager of the Swarm can be asked"
	}
	return finding{HostAway, who + e.since(h.Since) + ": " + so, h.trouble()}
}

// who is the host as a sentence has it.
func (h *Host) who() string {
	if h.Swarm {
		return "the Swarm"
	}
	if h.Fleet {
		return "etcd"
	}
	return "host " + Quoted(string(h.ID))
}

// yetToTell says that the host has not told what it has.
func (h *Host) yetToTell() string {
	if h.Swarm {
		return "no Swarm has told its services"
	}
	if h.Fleet {
		return "etcd has not told of the other hosts"
	}
	return h.who() + " has not told its containers"
}

// trouble says what is wrong with a host, and what to do about it.
func (h *Host) trouble() string {
	switch {
	case h.Swarm:
		return "see that an endpoint of the docker block with swarm is a manager that runs: docker node ls"
	case h.Cure != "":
		return quotedText(h.Cure)
	case h.Fleet && h.LastError != "":
		return "see to etcd, of which was heard last: " + quotedText(h.LastError)
	case h.Fleet:
		return "wait: it takes a moment for many hosts"
	case h.LastError != "":
		return "see to its engine, of which was heard last: " + quotedText(h.LastError)
	default:
		return "look at the server's log why its engine can't be asked"
	}
}
