package status

import (
	"io"
	"iter"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
)

const (
	// An answer is made in stretches of about this length, so that on a machine of one processor no query of DNS waits for long.
	stretch = 100 * time.Microsecond
	// Between them the processor is DNS's for so many times as long: a little for who asks alone, and most of the time where a
	// crowd does.
	restAlone, restInCrowd = 1, 19
	// What took longer than this has waited for something, and left the processor to others.
	longest = 10 * time.Millisecond
	// crowd is how many answers make one.
	crowd = 3
)

// pace has the making of one answer rest.
type pace struct {
	server *Server
	began  time.Time // the present stretch
}

func (s *Server) pace() *pace { return &pace{s, time.Now()} }

// rest rests, if it is time to. It has to be called often.
func (p *pace) rest() {
	took := time.Since(p.began)
	if took < stretch {
		return
	}
	rests := time.Duration(restAlone)
	if len(p.server.answers) >= crowd {
		rests = restInCrowd
	}
	time.Sleep(rests * min(took, longest))
	p.began = time.Now()
}

// paced returns the blocks for one answer: who goes through what they list rests.
func (s *Server) paced(blocks []Block) []Block {
	p := s.pace()
	all := make([]Block, len(blocks))
	for i, b := range blocks {
		all[i] = paced{b, p}
	}
	return all
}

type paced struct {
	Block
	pace *pace
}

// Names implements Block.
func (b paced) Names(from string) (iter.Seq[Name], error) {
	names, err := b.Block.Names(from)
	return resting(b.pace, names), err
}

// Containers implements Block.
func (b paced) Containers() iter.Seq[catalog.Explanation] {
	return resting(b.pace, b.Block.Containers())
}

// ZoneRecords implements Block.
func (b paced) ZoneRecords(apex string) iter.Seq[dns.RR] {
	return resting(b.pace, b.Block.ZoneRecords(apex))
}

// resting rests between what is listed. Nil stays nil.
func resting[T any](p *pace, all iter.Seq[T]) iter.Seq[T] {
	if all == nil {
		return nil
	}
	return func(yield func(T) bool) {
		p.began = time.Now() // a page that is live goes through them now and then
		for t := range all {
			p.rest()
			if !yield(t) {
				return
			}
		}
	}
}

// restful is a writer that rests.
type restful struct {
	io.Writer
	pace *pace
}

// Write implements io.Writer.
func (w restful) Write(b []byte) (int, error) {
	w.pace.rest()
	return w.Writer.Write(b)
}
