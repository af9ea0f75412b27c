package status

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// keyOf joins what tells rows apart.
func keyOf(parts ...string) string { return strings.Join(parts, ",") }

// table writes a text in columns. Its cells have no line breaks.
type table struct {
	*tabwriter.Writer
	blocks bool // the first column says of which block a row is
}

func newColumns(w io.Writer, gap int) table {
	return table{tabwriter.NewWriter(w, 0, 0, gap, ' ', 0), false}
}

// newTable returns a table with heads.
func newTable(w io.Writer, blocks bool, heads ...string) table {
	const gap = 3
	t := newColumns(w, gap)
	t.blocks = blocks
	t.rowOf("BLOCK", heads...)
	return t
}

// rowOf adds a row about what is a block's.
func (t table) rowOf(block string, cells ...string) {
	if t.blocks {
		cells = append([]string{block}, cells...)
	}
	t.row(cells...)
}

// row adds a row. What can't be written is told by the Flush at the end.
func (t table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = inLine(cmp.Or(cell, "-"))
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

// more says how the next page is asked for.
func (p page[R]) more(w io.Writer, r *http.Request) error {
	if p.Next == "" {
		return nil
	}
	next := *r.URL
	values := next.Query()
	values.Set("after", p.Next)
	next.RawQuery = values.Encode()
	_, err := fmt.Fprintf(w, "\n%d of %d are shown. Next: '%s'\n", len(p.Rows), p.All, next.String())
	return err
}

// NameRow is a name of a block's.
type NameRow struct {
	Block string `json:"block"`
	Name
}

func (n NameRow) key() string { return keyOf(n.Block, n.Zone, n.Name.Name) }
func (n NameRow) searched() []string {
	return slices.Concat([]string{n.Name.Name}, n.Owners, n.Records)
}

// NamePage is what the route /names shows.
type NamePage struct {
	From string `json:"from"` // who asks, as the request says
	page[NameRow]
}

func (s *Server) nameTable(r *http.Request) (view, error) {
	p, blocks, err := s.asked(r)
	if err != nil {
		return view{}, err
	}
	var rows []NameRow
	var unknown error
	known := len(blocks) == 0
	for _, b := range blocks {
		names, err := b.Names(p.Get("from"))
		if err != nil { // it may be another block's container that asks
			unknown = cmp.Or(unknown, err)
			continue
		}
		known = true
		key := b.Info().Key
		for n := range names {
			rows = append(rows, NameRow{key, n})
		}
	}
	if !known {
		return view{}, unknown
	}
	shown := NamePage{cmp.Or(p.Get("from"), "host"), pageOf(rows, p)}
	return view{title: "Names", json: shown, html: "names", text: func(w io.Writer) error {
		if len(shown.Rows) == 0 {
			_, err := fmt.Fprintln(w, "No names")
			return err
		}
		t := newTable(w, len(blocks) > 1, "NAME", "OWNER", "RECORDS")
		for _, n := range shown.Rows {
			t.rowOf(n.Block, n.Name.Name, strings.Join(n.Owners, ", "), strings.ReplaceAll(strings.Join(n.Records, ", "), "\t", " "))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		return shown.more(w, r)
	}}, nil
}

// HostRow is a host of a block's.
type HostRow struct {
	Block string `json:"block"`
	Host
}

// HostPage is what the route /hosts shows.
type HostPage struct {
	Rows []HostRow `json:"rows"`
}

func (s *Server) hostTable(r *http.Request) (view, error) {
	_, blocks, err := s.asked(r)
	if err != nil {
		return view{}, err
	}
	shown := HostPage{Rows: hosts(blocks)}
	return view{title: "Hosts", json: shown, html: "hosts", text: func(w io.Writer) error { return writeHosts(w, shown.Rows, len(blocks) > 1) }}, nil
}

func hosts(blocks []Block) []HostRow {
	rows := []HostRow{}
	for _, b := range blocks {
		for _, h := range b.Hosts() {
			rows = append(rows, HostRow{b.Info().Key, h})
		}
	}
	return rows
}

func writeHosts(w io.Writer, rows []HostRow, several bool) error {
	t := newTable(w, several, "HOST", "STATE", "SINCE", "CONTAINERS", "COMPARED", "LAG", "ENGINE", "ENDPOINT")
	for _, h := range rows {
		lag := ""
		if h.Lag > 0 {
			lag = fmt.Sprintf("%.1f ms", h.Lag*1000)
		}
		t.rowOf(h.Block, string(h.ID), h.State, ago(h.Since), strconv.Itoa(h.Containers), ago(h.Reconciled), lag, h.Engine, h.Endpoint)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, h := range rows {
		if h.LastError == "" {
			continue
		}
		fmt.Fprintf(w, "\n%s, %s: %s\n", inLine(string(h.ID)), moment(h.ErrorAt), inLine(h.LastError))
		if h.Cure != "" {
			fmt.Fprintln(w, inLine(h.Cure))
		}
	}
	return nil
}

// ago says how long ago something was.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	default:
		return strings.TrimSuffix(d.Truncate(time.Hour).String(), "0m0s")
	}
}

// moment says when something was.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}
