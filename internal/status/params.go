package status

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	usualLimit = 1000
	maxLimit   = 10000
	// A parameter is no longer: names in DNS have 255 octets.
	maxParam = 300
)

// params are what a request asks for, besides its path.
type params struct {
	url.Values
	limit int
}

// accept are the parameters that there are, and what they are for.
var parameters = map[string]string{
	"after":  "the last row of the page before",
	"block":  "the server block, as the Corefile calls it",
	"format": "text, json or html",
	"from":   "who asks",
	"limit":  fmt.Sprintf("how many rows there are to be, at most %d", maxLimit),
	"q":      "what rows are to have in them",
	"type":   "of DNS",
}

// read returns the request's parameters.
func read(r *http.Request) (params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return params{}, problemf(http.StatusBadRequest, "The parameters can't be read: %s", clip(err.Error()))
	}
	p := params{values, usualLimit}
	for name, given := range values {
		switch {
		case parameters[name] == "":
			return p, problemf(http.StatusBadRequest, "There is no parameter '%s'; want %s", clip(name), strings.Join(slices.Sorted(maps.Keys(parameters)), ", "))
		case len(given) > 1:
			return p, problemf(http.StatusBadRequest, "The parameter %s stands there twice", name)
		case len(given[0]) > maxParam:
			return p, problemf(http.StatusBadRequest, "The parameter %s has %d octets; want at most %d", name, len(given[0]), maxParam)
		}
	}
	if text := p.Get("limit"); text != "" {
		p.limit, err = strconv.Atoi(text)
		if err != nil || p.limit < 1 || p.limit > maxLimit {
			return p, problemf(http.StatusBadRequest, "'%s' is not a limit; want a number from 1 to %d", text, maxLimit)
		}
	}
	return p, nil
}

// clip shortens what is quoted of a request.
func clip(text string) string {
	if len(text) <= maxParam {
		return text
	}
	return strings.ToValidUTF8(text[:maxParam], "") + "..."
}

// asked returns the request's parameters, and the blocks that it asks about.
func (s *Server) asked(r *http.Request) (params, []Block, error) {
	p, err := read(r)
	if err != nil {
		return params{}, nil, err
	}
	blocks, err := s.chosen(p)
	return p, blocks, err
}

// chosen returns the blocks that the request asks about: the one of the parameter block, else all.
func (s *Server) chosen(p params) ([]Block, error) {
	blocks := s.blocks()
	key := p.Get("block")
	if key == "" {
		return blocks, nil
	}
	var keys []string
	for _, b := range blocks {
		if b.Info().Key == key {
			return []Block{b}, nil
		}
		keys = append(keys, b.Info().Key)
	}
	return nil, problemf(http.StatusNotFound, "There is no server block '%s' with docker; there is %s", key, list(keys))
}

// list says what there is, if that is few.
func list(all []string) string {
	const few = 10
	switch {
	case len(all) == 0:
		return "none"
	case len(all) > few:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
	default:
		return strings.Join(all, ", ")
	}
}

// row is one of a table's.
type row interface {
	key() string        // by which rows are told apart, and ordered
	searched() []string // in which a search looks
}

// page is a part of a table, to be shown at once.
type page[R row] struct {
	Rows []R    `json:"rows"`
	All  int    `json:"all"`            // how many there are in all pages
	Next string `json:"next,omitempty"` // the parameter after that leads to the next page, "" if there is none
}

// pageOf returns the rows that the request asks for, in their order.
func pageOf[R row](rows []R, p params) page[R] {
	if q := strings.ToLower(p.Get("q")); q != "" {
		rows = slices.DeleteFunc(rows, func(r R) bool {
			return !slices.ContainsFunc(r.searched(), func(text string) bool { return strings.Contains(strings.ToLower(text), q) })
		})
	}
	slices.SortFunc(rows, func(a, b R) int { return cmp.Compare(a.key(), b.key()) })
	all := len(rows)
	if after := p.Get("after"); after != "" {
		n, found := slices.BinarySearchFunc(rows, after, func(r R, key string) int { return cmp.Compare(r.key(), key) })
		if found {
			n++
		}
		rows = rows[n:]
	}
	if len(rows) <= p.limit {
		return page[R]{Rows: rows, All: all}
	}
	rows = rows[:p.limit]
	return page[R]{rows, all, rows[p.limit-1].key()}
}
