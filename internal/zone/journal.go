package zone

import (
	"slices"

	"github.com/miekg/dns"
)

// A journal is bounded by the number of its steps and by the octets of their records. A secondary that does not hear of
// changes asks each minute; there is about one step a second at most.
const (
	maxSteps         = 4096
	maxJournalOctets = 1 << 20
)

// journal holds the last changes of a zone, the oldest first. It never changes.
type journal struct {
	steps  []step
	octets int // of the records
}

// step is what leads on from a serial to the next one.
type step struct {
	from uint32
	difference
}

// difference is what a change takes away from a zone and what it adds, as records in wire format.
type difference struct{ removed, added []string }

func (d *difference) empty() bool { return len(d.removed) == 0 && len(d.added) == 0 }

// note adds the difference between the records that a name had and those that it has.
func (d *difference) note(had, has []string) {
	if slices.Equal(had, has) {
		return
	}
	d.removed = without(d.removed, had, has)
	d.added = without(d.added, has, had)
}

// without adds to all those of the records that are not among the others.
func without(all, records, others []string) []string {
	other := make(map[string]bool, len(others))
	for _, r := range others {
		other[r] = true
	}
	for _, r := range records {
		if !other[r] {
			all = append(all, r)
		}
	}
	return all
}

// append returns the journal with a further step. It must be called but once: the array is shared.
func (j journal) append(s step) journal {
	j.steps = append(j.steps, s)
	j.octets += octets(s.removed) + octets(s.added)
	for len(j.steps) > maxSteps || j.octets > maxJournalOctets {
		j.octets -= octets(j.steps[0].removed) + octets(j.steps[0].added)
		j.steps = j.steps[1:]
	}
	return j
}

// since returns what has changed since the serial, without what came and went or went and came meanwhile. It reports whether
// that is known.
func (j journal) since(serial uint32) (d difference, known bool) {
	first := slices.IndexFunc(j.steps, func(s step) bool { return s.from == serial })
	if first < 0 {
		return d, false
	}
	if first == len(j.steps)-1 {
		return j.steps[first].difference, true
	}
	net := map[string]int{} // 1 for what was added, -1 for what was removed
	for _, s := range j.steps[first:] {
		for _, r := range s.removed {
			net[r]--
		}
		for _, r := range s.added {
			net[r]++
		}
	}
	for r, n := range net {
		switch {
		case n < 0:
			d.removed = append(d.removed, r)
		case n > 0:
			d.added = append(d.added, r)
		}
	}
	slices.Sort(d.removed)
	slices.Sort(d.added)
	return d, true
}

// octets is the length of the records.
func octets(records []string) (n int) {
	for _, r := range records {
		n += len(r)
	}
	return n
}

// packed returns the records in wire format. Each fits, since naming refuses what does not.
func packed(rrs []dns.RR) []string {
	if len(rrs) == 0 {
		return nil
	}
	var buf [512]byte // enough for all but a few
	records := make([]string, 0, len(rrs))
	for _, rr := range rrs {
		to := buf[:]
		if n := dns.Len(rr); n > len(to) {
			to = make([]byte, n)
		}
		if end, err := dns.PackRR(rr, to, 0, nil, false); err == nil {
			records = append(records, string(to[:end]))
		}
	}
	return records
}

// unpacked returns the records that were packed.
func unpacked(records []string) []dns.RR {
	rrs := make([]dns.RR, 0, len(records))
	for _, r := range records {
		if rr, _, err := dns.UnpackRR([]byte(r), 0); err == nil {
			rrs = append(rrs, rr)
		}
	}
	return rrs
}
