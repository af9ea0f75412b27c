package hosts

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// question is a name, and the targets that it may mean.
type question struct {
	name    string
	all     []*target
	service bool // the targets' ports have SRV records below the name
}

// questions are the names of all targets, without the host and with it, and those of the hosts.
func (l *lab) questions() (list []question) {
	byName := map[string][]*target{}
	for _, h := range l.hosts {
		for _, c := range h.targets {
			byName[c.name] = append(byName[c.name], c)
			list = append(list, question{c.name + "." + h.name + ".docker.", []*target{c}, c.published != 0})
			if c.name == "hostnet" { // which is all that listens at the host's own address
				list = append(list, question{h.name + ".docker.", []*target{c}, false})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, question{name + ".docker.", byName[name], byName[name][0].published != 0})
	}
	return list
}

// meant are the targets of which the answer may tell. To who asks its own host's server, the name means that host's if it
// reaches that.
func (q question) meant(a *asker, own bool) []*target {
	i := slices.IndexFunc(q.all, func(c *target) bool { return c.host == a.host })
	if !own || i < 0 || a.wayTo(q.all[i], own) == (netip.AddrPort{}) {
		return q.all
	}
	return q.all[i : i+1]
}

// candidates are all addresses at which the asker may reach the target. Another host's server can't tell who of a host asks, and
// knows those alone that all of the LAN reach.
func (a *asker) candidates(c *target, own bool) (all []netip.AddrPort) {
	if own || c.direct() {
		for _, addr := range c.addrs {
			all = append(all, netip.AddrPortFrom(addr, port))
		}
	}
	if c.published != 0 {
		at := slices.Clone(c.host.addrs)
		if own && a.host == c.host {
			at = append(at, a.own...) // its gateways
		}
		for _, addr := range at {
			all = append(all, netip.AddrPortFrom(addr, c.published))
		}
	}
	return all
}

// wayTo returns an address at which the asker reaches the target, the zero AddrPort if there is none.
func (a *asker) wayTo(c *target, own bool) netip.AddrPort {
	for _, to := range a.candidates(c, own) {
		if got := a.dial(to); got.err == nil && got.text == c.text() {
			return to
		}
	}
	return netip.AddrPort{}
}

// reached returns an error unless a target of the list is reached at the address: by its own port if the address is its own,
// else by the one that is published.
func (a *asker) reached(addr netip.Addr, list []*target) error {
	errs := []error{fmt.Errorf("%v is nobody's of that name", addr)}
	for _, c := range list {
		to := netip.AddrPortFrom(addr, c.published)
		if slices.Contains(c.addrs, addr) {
			to = netip.AddrPortFrom(addr, port)
		}
		if to.Port() == 0 {
			continue
		}
		got := a.dial(to)
		if got.err != nil && !a.needsShim(c) {
			got = a.connect(to)
		}
		if got.err == nil && got.text == c.text() || a.needsShim(c) {
			return nil
		}
		if got.err == nil {
			got.err = fmt.Errorf("%v is %q, not %q", to, got.text, c.text())
		}
		errs = append(errs, got.err)
	}
	return errors.Join(errs...)
}

// direct reports whether the target is on the LAN itself.
func (c *target) direct() bool { return c.name == "direct" }

// needsShim reports whether the target is on a macvlan network of the asker's own host. The host reaches it only by a
// link of its own to that network, which not all have.
func (a *asker) needsShim(c *target) bool { return c.direct() && a.host == c.host }

// outOfReach reports whether the address is on the LAN and of a family that the asker has no way to there, which the server of
// another host than its own can't know. An answer has the addresses of both families, and who has but one uses that.
func (a *asker) outOfReach(addr netip.Addr, own bool) bool {
	return !own && !addr.IsPrivate() && !a.reachesLAN(addr.Is4())
}

// check asks one server, and connects to what it says. It returns the addresses that were given.
func (a *asker) check(server netip.Addr, own bool, q question) (given []netip.Addr, err error) {
	given, err = a.addrs(server, q.name)
	if err != nil {
		return nil, err
	}
	wrap := func(err error) error {
		return fmt.Errorf("%s asks %v for %s, gets %v: %w", a.name, server, q.name, given, err)
	}
	meant := q.meant(a, own)
	for _, addr := range given {
		if err := a.reached(addr, meant); err != nil && !a.outOfReach(addr, own) {
			return given, wrap(fmt.Errorf("%v: %w", addr, err))
		}
	}
	if len(given) == 0 {
		for _, c := range meant {
			if to := a.wayTo(c, own); to.IsValid() {
				return nil, wrap(fmt.Errorf("%s would be reached at %v", c.text(), to))
			}
		}
		return nil, nil
	}
	if !q.service {
		return given, nil
	}
	return given, a.checkService(server, own, q, meant)
}

// checkService connects to what the name's SRV record says.
func (a *asker) checkService(server netip.Addr, own bool, q question, meant []*target) error {
	name := "_http._tcp." + q.name
	rrs, err := a.ask(server, name, dns.TypeSRV)
	if err != nil {
		return err
	}
	services := 0
	for _, rr := range rrs {
		srv, ok := rr.(*dns.SRV)
		if !ok {
			continue
		}
		services++
		at, err := a.addrs(server, srv.Target)
		if err != nil {
			return err
		}
		if len(at) == 0 {
			return fmt.Errorf("%s asks %v for %s, gets %v, of which the target has no address", a.name, server, name, srv)
		}
		for _, addr := range at {
			to := netip.AddrPortFrom(addr, srv.Port)
			got := a.dial(to)
			is := func(c *target) bool { return c.text() == got.text }
			if a.outOfReach(addr, own) {
				continue
			}
			if got.err != nil {
				got = a.connect(to)
			}
			if got.err != nil || !slices.ContainsFunc(meant, is) {
				return fmt.Errorf("%s asks %v for %s, gets %v: at %v is %q, %v", a.name, server, name, srv, to, got.text, got.err)
			}
		}
	}
	if services == 0 {
		return fmt.Errorf("%s asks %v for %s, gets nothing", a.name, server, name)
	}
	return nil
}

// Each asker asks each server, its own host's by each way there is, for each name. Every address that it is given is that of a
// container that the name means, and reached; and where there is one that it would reach, it is given one.
func TestMatrix(t *testing.T) {
	page := newLab(t, (*host).serve).askAll(t).table()
	t.Log("\n" + page)
	asDocumented(t, page)
	if *matrixFlag != "" && !t.Failed() {
		if err := os.WriteFile(*matrixFlag, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// asDocumented checks that the matrix is the one in docs/hosts.md.
func asDocumented(t *testing.T, page string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n| asked for ")
	table, _, _ = strings.Cut(table, "\n\n")
	got, want := rows(page), rows(table)
	for what, row := range want {
		if got[what] != row {
			t.Errorf("%s: %s, and in docs/hosts.md %s", what, got[what], row)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, and in docs/hosts.md %d", len(got), len(want))
	}
}

// rows returns the rows of a table in Markdown, without its head, by what stands first in them.
func rows(table string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(table) {
		if what, cells, found := strings.Cut(strings.Trim(line, "|\n "), "|"); found && strings.Contains(what, ", on ") {
			fields := strings.Split(cells, "|")
			for i := range fields {
				fields[i] = strings.TrimSpace(fields[i])
			}
			all[strings.TrimSpace(what)] = strings.TrimRight(strings.Join(fields, " | "), "| ")
		}
	}
	return all
}

// askAll has all askers ask all servers for all names.
func (l *lab) askAll(t *testing.T) *cells {
	cells := newCells()
	var done sync.WaitGroup
	var mu sync.Mutex // guards asked
	asked := 0
	room := make(chan struct{}, 64) // most of what is tried is not reached, and waits
	for _, a := range append(l.askers(), l.lan) {
		for _, q := range l.questions() {
			done.Go(func() {
				room <- struct{}{}
				defer func() { <-room }()
				for i, server := range append(slices.Clone(a.own), a.other...) {
					given, err := a.check(server, i < len(a.own), q)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					asked++
					if i == 0 {
						cells.add(a, q, given)
					}
					mu.Unlock()
				}
			})
		}
	}
	done.Wait()
	t.Logf("%d names asked for", asked)
	return cells
}

// cells are the matrix: by what is asked for and who asks, the kinds of addresses that are given.
type cells struct {
	rows map[string]map[string]map[string]bool
}

func newCells() *cells { return &cells{rows: map[string]map[string]map[string]bool{}} }

// add adds the answer to a question for one target.
func (m *cells) add(a *asker, q question, given []netip.Addr) {
	if len(q.all) != 1 || strings.HasPrefix(q.name, "solo-") {
		return
	}
	c := q.all[0]
	what, _, _ := strings.Cut(q.name, ".")
	if what == c.host.name {
		what = "HOST"
	}
	row, column := what+", on the asker's host", a.kind
	if a.host != c.host {
		row = what + ", on another host"
	}
	m.put(row, column, kinds(a, c, given))
}

func (m *cells) put(row, column, cell string) {
	if m.rows[row] == nil {
		m.rows[row] = map[string]map[string]bool{}
	}
	if m.rows[row][column] == nil {
		m.rows[row][column] = map[string]bool{}
	}
	m.rows[row][column][cell] = true
}

// kinds says what the addresses are to the asker, and of which family.
func kinds(a *asker, c *target, given []netip.Addr) string {
	families := map[string]string{}
	for _, addr := range given {
		family := " 6"
		if addr.Is4() {
			family = " 4"
		}
		kind := "gateway"
		switch {
		case slices.Contains(c.addrs, addr):
			kind = "own"
		case slices.Contains(c.host.addrs, addr):
			kind = "host"
		}
		if !strings.Contains(families[kind], family) {
			families[kind] += family
		}
	}
	var said []string
	for _, kind := range slices.Sorted(maps.Keys(families)) {
		said = append(said, kind+families[kind])
	}
	if said == nil {
		return "–"
	}
	return strings.Join(said, ", ")
}

// table writes the matrix in Markdown.
func (m *cells) table() string {
	var b strings.Builder
	columns := []string{"same network", "other network", "default bridge", "host", "LAN"}
	fmt.Fprintf(&b, "| asked for | %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)+1))
	for _, row := range slices.Sorted(maps.Keys(m.rows)) {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range columns {
			fmt.Fprintf(&b, " %s |", strings.Join(slices.Sorted(maps.Keys(m.rows[row][column])), "; "))
		}
		b.WriteString("\n")
	}
	return b.String()
}
