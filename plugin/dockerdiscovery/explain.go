package dockerdiscovery

import (
	"iter"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

var _ status.Block = (*Docker)(nil)

// Explain implements status.Block.
func (d *Docker) Explain(q status.Question) (*status.Explanation, error) {
	return &status.Explanation{Name: q.Name, Type: q.Type}, nil
}

// Names implements status.Block.
func (d *Docker) Names(from string) (iter.Seq[status.Name], error) {
	return func(func(status.Name) bool) {}, nil
}

// Containers implements status.Block.
func (d *Docker) Containers() iter.Seq[catalog.Explanation] { return d.catalog.All() }

// Transfer records of the zone, as status.Block has it.
func (d *Docker) ZoneRecords(apex string) iter.Seq[dns.RR] { return nil }
