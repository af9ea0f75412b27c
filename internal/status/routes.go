package status

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Record is a record of a zone, at its place there.
type Record struct {
	n    int
	text string
}

func (r Record) key() string        { return fmt.Sprintf("%09d", r.n) }
func (r Record) searched() []string { return []string{r.text} }

// MarshalText implements encoding.TextMarshaler.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.text), nil }

// String returns the record as in a zone file.
func (r Record) String() string { return r.text }

// ZonePage is what the route /zones/ZONE shows.
type ZonePage struct {
	Block string `json:"block"`
	Zone  string `json:"zone"`
	page[Record]
}

func (s *Server) zoneFile(r *http.Request) (view, error) {
	p, blocks, err := s.asked(r)
	if err != nil {
		return view{}, err
	}
	apex := strings.ToLower(dns.Fqdn(r.PathValue("zone")))
	var zones []string
	for _, b := range blocks {
		zones = append(zones, b.Info().Zones...)
		records := b.ZoneRecords(apex)
		if records == nil {
			continue
		}
		var rows []Record
		for rr := range records {
			rows = append(rows, Record{len(rows), rr.String()})
		}
		shown := ZonePage{b.Info().Key, apex, pageOf(rows, p)}
		return view{title: apex, json: shown, html: "zone", text: func(w io.Writer) error {
			for _, record := range shown.Rows {
				if _, err := fmt.Fprintln(w, record.text); err != nil {
					return err
				}
			}
			return shown.more(comment{w}, r)
		}}, nil
	}
	return view{}, problemf(http.StatusNotFound, "'%s' is no zone that can be listed; there is %s", clip(apex), list(zones))
}

// comment writes lines as comments of a zone file.
type comment struct{ io.Writer }

func (c comment) Write(b []byte) (int, error) {
	if _, err := io.WriteString(c.Writer, "; "+strings.TrimSpace(string(b))+"\n"); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *Server) explain(r *http.Request) (view, error) {
	p, blocks, err := s.asked(r)
	if err != nil {
		return view{}, err
	}
	q := Question{Name: r.PathValue("name"), From: p.Get("from")}
	if q.Type, err = parseType(p.Get("type")); err != nil {
		return view{}, err
	}
	if _, ok := dns.IsDomainName(q.Name); !ok || len(q.Name) > maxParam {
		return view{}, problemf(http.StatusBadRequest, "'%s' is no name in DNS", clip(q.Name))
	}
	lies := strings.ToLower(dns.Fqdn(q.Name))
	if reverse, err := dns.ReverseAddr(q.Name); err == nil { // an address stands for its name
		lies = reverse
	}
	b := closest(blocks, lies)
	if b == nil {
		return view{}, problemf(http.StatusNotFound, "No server block has docker")
	}
	e, err := b.Explain(q)
	if err != nil {
		return view{}, err
	}
	records := 0
	if e.Answer != nil {
		records = len(e.Answer.Answer)
	}
	return view{title: q.Name, json: e, text: e.Text, html: "explain", records: &records}, nil
}

// parseType reads a type of DNS: by its name, or as RFC 3597 has it. None is A.
func parseType(text string) (uint16, error) {
	if text == "" {
		return dns.TypeA, nil
	}
	name := strings.ToUpper(text)
	if t, ok := dns.StringToType[name]; ok {
		return t, nil
	}
	if digits, ok := strings.CutPrefix(name, "TYPE"); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return uint16(n), nil
		}
	}
	return 0, problemf(http.StatusBadRequest, "'%s' is no type of DNS; want one as A, AAAA, SRV or TYPE65", clip(text))
}

// closest returns the block with the most specific zone that holds the name: the first of them, or of all if none does, as
// CoreDNS asks it; nil if there is no block.
func closest(blocks []Block, name string) (best Block) {
	most := -1
	for _, b := range blocks {
		if best == nil {
			best = b
		}
		for _, apex := range b.Info().Zones {
			if labels := dns.CountLabel(apex); dns.IsSubDomain(apex, name) && labels > most {
				best, most = b, labels
			}
		}
	}
	return best
}

// Overview is what the route / shows.
type Overview struct {
	Version string    `json:"version,omitempty"`
	Blocks  []Info    `json:"blocks"`
	Hosts   []HostRow `json:"hosts"`
}

const routes = `/explain/NAME       why NAME has the answer that it has: ?type=A&from=ADDRESS|CONTAINER|HOST|host|lan
/names              all names, with what answers: ?from=
/containers         all containers, with their names
/containers/ID      one of them: what it is not called, and why; its last changes
/hosts              the engines: connected, synced, away, last error
/zones/ZONE         a zone file
Lists take ?q=, ?limit= and ?after=; what is of one server block takes ?block=.
`

func (s *Server) overview(r *http.Request) (view, error) {
	p, err := read(r)
	if err != nil {
		return view{}, err
	}
	blocks := s.blocks()
	shown := Overview{s.Version, []Info{}, hosts(blocks)}
	for _, b := range blocks {
		shown.Blocks = append(shown.Blocks, b.Info())
	}
	front := func() (any, error) { return s.front(r, p) }
	return view{title: "Containers", json: shown, html: "front", data: front, text: func(w io.Writer) error {
		if s.Version != "" {
			fmt.Fprintln(w, s.Version)
		}
		t := newTable(w, false, "BLOCK", "ZONES", "LISTENS AT")
		for _, i := range shown.Blocks {
			t.row(i.Key, strings.Join(i.Zones, " "), strings.Join(i.Listen, " "))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		for _, i := range shown.Blocks {
			for _, warning := range i.Warnings {
				fmt.Fprintf(w, "%s: %s\n", inLine(i.Key), inLine(warning))
			}
		}
		fmt.Fprintln(w)
		if err := writeHosts(w, shown.Hosts, len(blocks) > 1); err != nil {
			return err
		}
		_, err := fmt.Fprint(w, "\n"+routes)
		return err
	}}, nil
}

// ask leads from a form's question to the explanation, or else shows the form.
func (s *Server) ask(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if name := strings.TrimSpace(q.Get("name")); name != "" {
		http.Redirect(w, r, link("/explain/"+url.PathEscape(name), "type", q.Get("type"), "from", q.Get("from"), "block", q.Get("block")), http.StatusSeeOther)
		return
	}
	s.shows(func(*http.Request) (view, error) {
		p := problemf(http.StatusOK, "Which name? Want /explain/NAME")
		v := p.view()
		v.title, v.html = "Explain", "ask"
		return v, nil
	})(w, r)
}

// nothing answers for paths that lead nowhere.
func (s *Server) nothing(r *http.Request) (view, error) {
	return view{}, problemf(http.StatusNotFound, "There is nothing at %s. There is:\n%s", clip((&url.URL{Path: r.URL.Path}).String()), routes)
}
