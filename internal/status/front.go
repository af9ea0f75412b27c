package status

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

const (
	// frontRows is how many containers the page has as the server makes it. Its script shows the others.
	frontRows = 100
	// lineNames is how many of its names a container's line shows. A search finds it by all.
	lineNames = 3
	// maxAskers is how many containers the page proposes as askers.
	maxAskers = 100
)

// How the Docker host and who is elsewhere are called as askers.
const fromHost, fromLAN = "host", "lan"

// front is the page of the route /: the containers of one block.
type front struct {
	Info        Info
	Blocks      []Info
	From, Query string
	Other       bool // From is neither the Docker host nor the LAN
	Askers      []string
	Summary     summary
	Lines       []line // the next ones that the search finds
	All, Found  int
	More        string // where the following ones are, "" if there are none
}

// summary is what the page says above the table.
type summary struct {
	Problem string // what is wrong with the question
	Hosts   []Host
}

// line is a container in the table.
type line struct {
	Container
	Key       string // by which lines are told apart
	Link      string
	On        string // the host, where there are several
	Asked     []asked
	MoreNames int
	Addrs     []netip.Addr // with which the first name answers the asker
	Unseen    string       // why there are none
}

// asked is a name with where it is explained.
type asked struct{ Name, Link string }

// front makes the page.
func (s *Server) front(r *http.Request, p params) (any, error) {
	b, err := s.chosenOne(p)
	if err != nil {
		return nil, err
	}
	skip := 0
	if text := p.Get("after"); text != "" {
		if skip, err = strconv.Atoi(text); err != nil || skip < 0 {
			return nil, problemf(http.StatusBadRequest, "'%s' is not where the page may begin; want how many containers come before", text)
		}
	}
	v := viewFrom(b, p.Get("from"))
	f := front{
		Info: v.info, From: v.from, Query: p.Get("q"), Other: v.from != fromHost && v.from != fromLAN,
		Askers: []string{fromHost, fromLAN}, Summary: v.summary(),
	}
	for _, b := range s.blocks() {
		f.Blocks = append(f.Blocks, b.Info())
	}
	words := strings.Fields(strings.ToLower(f.Query))
	for e := range v.block.Containers() {
		f.All++
		if e.Facts != nil && len(f.Askers) < maxAskers {
			f.Askers = append(f.Askers, e.Name)
		}
		c := containerOf(v.info.Key, &e)
		if !c.found(words) {
			continue
		}
		if f.Found++; f.Found > skip && len(f.Lines) < frontRows {
			f.Lines = append(f.Lines, v.line(c, &e))
		}
	}
	if end := skip + len(f.Lines); end < f.Found {
		f.More = link("/", "q", f.Query, "from", p.Get("from"), "block", p.Get("block"), "after", strconv.Itoa(end))
	}
	return f, nil
}

// chosenOne returns the block that the request asks about, the first one if it names none.
func (s *Server) chosenOne(p params) (Block, error) {
	blocks, err := s.chosen(p)
	if err == nil && len(blocks) == 0 {
		err = problemf(http.StatusNotFound, "No server block has docker")
	}
	if err != nil {
		return nil, err
	}
	return blocks[0], nil
}

// text is that in which a search looks for words, in lower case. The ID is not in it, nor are names made of it: a word of few
// letters would find it by chance.
func (c Container) text() string {
	texts := slices.DeleteFunc(c.searched(), func(text string) bool { return strings.HasPrefix(text, c.ShortID()) })
	return strings.ToLower(strings.Join(texts, " "))
}

// found reports whether a search for the words finds the container, by the text or the beginning of its ID.
func (c Container) found(words []string) bool {
	text := c.text()
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) && !strings.HasPrefix(c.ID, w) })
}

// seen is a block as one asker sees it.
type seen struct {
	block   Block
	info    Info
	from    string
	problem string // what is wrong with from
	several bool   // hosts
}

func viewFrom(b Block, from string) *seen {
	v := &seen{block: b, info: b.Info(), from: cmp.Or(from, fromHost), several: len(b.Hosts()) > 1}
	if _, err := b.Names(v.from); err != nil {
		v.problem = err.Error()
	}
	return v
}

func (v *seen) summary() summary { return summary{v.problem, v.block.Hosts()} }

// line makes the container's line.
func (v *seen) line(c Container, e *catalog.Explanation) line {
	l := line{
		Container: c, Key: lineKey(e.Key),
		Link: link("/containers/"+url.PathEscape(e.ID), "block", v.info.Key),
	}
	if v.several && c.Kind == "" {
		l.On = string(e.Host)
	}
	if e.Entry == nil {
		return l
	}
	from := v.from
	if v.problem != "" {
		from = "" // nobody can ask from there
	}
	for _, name := range c.Names {
		switch {
		case strings.HasPrefix(name, "_"): // a service's: SRV
		case strings.HasPrefix(name, c.ShortID()+".") && len(c.Names) > 1: // nobody knows it by that
			l.MoreNames++
		case len(l.Asked) == lineNames:
			l.MoreNames++
		default:
			l.Asked = append(l.Asked, asked{strings.TrimSuffix(name, "."), explained(name, from, v.info.Key)})
		}
	}
	l.Addrs, l.Unseen = v.answers(e.Entry)
	return l
}

// lineKey is the key of the container's line.
func lineKey(key zone.Key) string { return keyOf(string(key.Host), key.ID) }

// first explains the container's first name that has addresses to the asker; nil if it has none.
func (v *seen) first(e *zone.Entry) (*Explanation, error) {
	i := slices.IndexFunc(e.Claims, func(c zone.Claim) bool { return c.Data == nil })
	if i < 0 || v.problem != "" {
		return nil, nil
	}
	return v.block.Explain(Question{Name: e.Claims[i].Name, Type: dns.TypeA, From: v.from})
}

// answers returns the container's addresses with which its first name answers the asker, or why there are none.
func (v *seen) answers(e *zone.Entry) (addrs []netip.Addr, why string) {
	ex, err := v.first(e)
	switch {
	case err != nil:
		return nil, err.Error()
	case ex == nil:
		return nil, ""
	}
	for _, claim := range ex.Claims {
		if claim.Entry.Key == e.Key || e.IsService() && claim.Entry.SameService(e) {
			addrs = append(addrs, claim.Addrs...)
		}
	}
	if len(addrs) == 0 {
		why = ex.Short()
	}
	return addrs, why
}

// stateClass is the class of style of a container's state, a service's, or a host's.
func stateClass(state string) string {
	if tasks, _, ok := strings.Cut(state, " "); ok && strings.HasSuffix(strings.TrimSuffix(state, "s"), "task") {
		return map[bool]string{true: "warn", false: "good"}[tasks == "0"]
	}
	switch state {
	case "running", "healthy", "health starting", "current":
		return "good"
	case "paused", "stopping", "unsynced":
		return "wait"
	case "unhealthy", "overdue":
		return "warn"
	case "unread", "away", "forgotten":
		return "bad"
	default:
		return "off"
	}
}
