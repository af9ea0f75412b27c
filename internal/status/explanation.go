package status

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Explanation says why a name has the answer that it has for one asker. Conclude has to be called when the rest is set.
type Explanation struct {
	Block string
	Name  string // absolute, in lower case
	Type  uint16
	At    time.Time

	From      string     // who asks, as a sentence has it
	Asker     zone.Asker // as what it counts
	Client    string     // the name of the container that asks, "" if none does or it is not known
	Forwarded bool       // it asks for others, who are not known
	Resolver  bool       // it is a container that serves DNS, and may ask for others
	Isolate   bool       // what shares no network with a container that asks is hidden from it

	Zone        string          // in which the name lies, "" if it lies in none of Zones
	Zones       []string        // the block's
	LabelPrefix string          // what the keys of our labels begin with, with the last dot
	Filters     *naming.Filters // the Corefile's
	Proxies     []string        // its front proxies, but for addresses
	Several     bool            // there are several hosts: which one's a container is is to be said

	Cause Cause // the one thing that decides

	Target     string  // the name to which CNAMEs lead in our zones, whose claims these are; "" if it is Name
	Claims     []Claim // what became of each claim to the name
	MoreClaims int     // that are left off
	Wanting    []catalog.Wanting
	MoreWants  int
	Starting   bool     // a container that could have the name is just being started
	Hosts      []Host   // those that are not current
	Below      []string // names below one that nobody has
	MoreBelow  int
	Near       []string // names that exist and that may be meant, the likeliest first

	Outcome  zone.Outcome
	Unready  bool     // what is right is not known yet: SERVFAIL
	Stale    bool     // what is answered may no longer be so
	Passed   bool     // the next plugin of the server block answers
	Next     string   // its name, "" if there is none
	Followed string   // the name outside our zones to which a CNAME leads: others are asked for it
	Answer   *dns.Msg // nil if Passed

	finding finding
}

// Claim is what became of one container's claims to the name.
type Claim struct {
	zone.Verdict
	About *catalog.Explanation // nil for a host
}

// maxShort is how many octets Short has at most: the text of an extended DNS error has to fit into an answer by UDP.
const maxShort = 120

// Short says in a few words why the answer is not what somebody may expect, "" if there is nothing to say. It is the text of an
// extended DNS error (RFC 8914).
func (e *Explanation) Short() string { return shorten(e.finding.what, maxShort) }

// Cure says what to do about the cause, "" if there is nothing to do.
func (e *Explanation) Cure() string { return e.finding.cure }

// Text writes the explanation for a terminal: the cause and its cure first, then the steps that led there, and the answer as dig
// shows it.
func (e *Explanation) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, asked by %s: %s\n\n", e.Name, typeName(e.Type), e.From, e.status())
	if e.finding.what != "" {
		fmt.Fprintf(&b, "  %s\n", stopped(sentence(e.finding.what)))
	}
	if e.finding.cure != "" {
		fmt.Fprintf(&b, "  What to do: %s\n", stopped(e.finding.cure))
	}
	if e.finding != (finding{cause: Answered}) {
		b.WriteByte('\n')
	}
	for _, step := range e.Steps() {
		fmt.Fprintf(&b, "  - %s\n", step)
	}
	if e.Answer != nil {
		fmt.Fprintf(&b, "\n%s", e.Answer)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// status says what is answered in a word or two.
func (e *Explanation) status() string {
	switch {
	case e.Answer == nil:
		return e.passedTo()
	case e.Answer.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[e.Answer.Rcode]
	case len(e.Answer.Answer) == 0:
		return "no such record"
	}
	var data []string
	for _, rr := range e.Answer.Answer {
		data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return some(data, 4)
}

// explanationJSON is what programs get. Its keys never change.
type explanationJSON struct {
	Block   string        `json:"block"`
	Name    string        `json:"name"`
	Type    string        `json:"type"`
	From    string        `json:"from"`
	Zone    string        `json:"zone"` // "" if the name lies in none
	Zones   []string      `json:"zones"`
	Cause   Cause         `json:"cause"`
	Summary string        `json:"summary"` // "" if there is nothing to say
	Cure    string        `json:"cure"`    // likewise
	Steps   []string      `json:"steps"`
	Target  string        `json:"target,omitempty"`
	Claims  []claimJSON   `json:"claims"`
	More    int           `json:"more_claims,omitempty"`
	Wanting []wantingJSON `json:"wanting"`
	Near    []string      `json:"near"`
	Below   []string      `json:"below"`
	Hosts   []Host        `json:"hosts"` // that are not current
	Stale   bool          `json:"stale"`
	Passed  bool          `json:"passed"`         // to the next plugin
	Next    string        `json:"next,omitempty"` // its name
	Follows string        `json:"followed,omitempty"`
	Answer  *answerJSON   `json:"answer"` // null if passed
}

type claimJSON struct {
	Host      string        `json:"host"`
	Container string        `json:"container,omitempty"` // not with a host's own claim
	ID        string        `json:"id,omitempty"`
	Reason    string        `json:"reason"`
	Right     string        `json:"right"`
	Winner    string        `json:"winner,omitempty"`
	State     string        `json:"state"`
	HeldUntil time.Time     `json:"held_until,omitzero"`
	Addresses []addressJSON `json:"addresses"`
	Ports     string        `json:"published_ports,omitempty"` // what keeps these from the asker
}

type addressJSON struct {
	Address string `json:"address"`
	Network string `json:"network,omitempty"`
	Reason  string `json:"reason"`
}

type wantingJSON struct {
	Host      string `json:"host"`
	Container string `json:"container"`
	ID        string `json:"id"`
	Cause     Cause  `json:"cause"`
	Summary   string `json:"summary"`
	Cure      string `json:"cure"`
}

type answerJSON struct {
	Status     string    `json:"status"`
	Flags      []string  `json:"flags"`
	Answer     []string  `json:"answer"`
	Authority  []string  `json:"authority"`
	Additional []string  `json:"additional"`
	EDE        []edeJSON `json:"ede"` // extended DNS errors
}

type edeJSON struct {
	Code uint16 `json:"code"`
	Text string `json:"text"`
}

// MarshalJSON implements json.Marshaler.
func (e *Explanation) MarshalJSON() ([]byte, error) {
	j := explanationJSON{
		Block: e.Block, Name: e.Name, Type: typeName(e.Type), From: e.From, Zone: e.Zone, Zones: present(e.Zones),
		Cause: e.Cause, Summary: e.finding.what, Cure: e.finding.cure, Steps: e.Steps(),
		Target: e.Target, Claims: []claimJSON{}, More: e.MoreClaims, Wanting: []wantingJSON{}, Near: present(e.Near), Below: present(e.Below), Hosts: e.Hosts,
		Stale: e.Stale, Passed: e.Passed, Next: e.Next, Follows: e.Followed, Answer: answer(e.Answer),
	}
	if j.Hosts == nil {
		j.Hosts = []Host{}
	}
	for i := range e.Claims {
		j.Claims = append(j.Claims, e.Claims[i].json(e))
	}
	for i := range e.Wanting {
		w := &e.Wanting[i]
		f := e.lack(w)
		j.Wanting = append(j.Wanting, wantingJSON{string(w.Host), w.Name, w.ID, f.cause, f.what, f.cure})
	}
	return json.Marshal(j)
}

func (c *Claim) json(e *Explanation) claimJSON {
	j := claimJSON{
		Host: string(c.Entry.Host), ID: c.Entry.ID, Reason: reasonWords[c.Reason], Right: e.rightWord(c.Rank), State: c.state(), Addresses: []addressJSON{},
	}
	if !c.Entry.IsHost() {
		j.Container = c.Entry.Name
	}
	if c.Proxy {
		j.Right = "front_proxy"
	}
	if c.Winner != nil {
		j.Winner = c.Winner.Name
	}
	if c.About != nil {
		j.HeldUntil = c.About.HeldUntil
	}
	for _, ip := range c.Addrs {
		a := addressJSON{Address: ip.String(), Reason: hindranceWords[zone.Given]}
		a.Network = c.network(ip)
		j.Addresses = append(j.Addresses, a)
	}
	for _, k := range c.Kept {
		j.Addresses = append(j.Addresses, addressJSON{k.IP.String(), c.networkName(k.Network), hindranceWords[k.By]})
	}
	if c.Ports != zone.Given {
		j.Ports = hindranceWords[c.Ports]
	}
	return j
}

func answer(m *dns.Msg) *answerJSON {
	if m == nil {
		return nil
	}
	j := &answerJSON{Status: dns.RcodeToString[m.Rcode], Flags: []string{}, EDE: []edeJSON{}, Answer: texts(m.Answer), Authority: texts(m.Ns), Additional: texts(m.Extra)}
	for _, f := range []struct {
		name string
		set  bool
	}{{"qr", m.Response}, {"aa", m.Authoritative}, {"tc", m.Truncated}, {"rd", m.RecursionDesired}, {"ra", m.RecursionAvailable}, {"ad", m.AuthenticatedData}, {"cd", m.CheckingDisabled}} {
		if f.set {
			j.Flags = append(j.Flags, f.name)
		}
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				j.EDE = append(j.EDE, edeJSON{ede.InfoCode, ede.ExtraText})
			}
		}
	}
	return j
}

// texts writes records in the form of zone files. An OPT is none.
func texts(rrs []dns.RR) []string {
	all := []string{}
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			all = append(all, rr.String())
		}
	}
	return all
}

// present is the list, which is not null in JSON.
func present(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}
