package soak

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// level is what the server held of something early and late in the run.
type level struct {
	what        string
	first, last float64 // medians of the first and the last third of the run, after its beginning
	allowed     float64 // what last may exceed first by
}

func (l level) check() error {
	if l.last > l.first+l.allowed {
		return fmt.Errorf("%s grew from %.4g to %.4g, by more than %.2f", l.what, l.first, l.last, l.allowed)
	}
	return nil
}

func (l level) String() string {
	return fmt.Sprintf("%-12s first third %6.4g, last third %6.4g: %+.2f, %.2f allowed", l.what, l.first, l.last, l.last-l.first, l.allowed)
}

// levels compares the first third of the samples with the last one, without the first tenth, in
// which connections, buffers and the heap reach the size that the load needs. Medians leave out moments such
// as an outage or a storm of inspects after it.
//
// What is allowed is what the medians of a level series differ by, with some room: a few goroutines and
// descriptors, since as many calls are under way, and a twentieth of the live heap, since the number of containers that have
// just ended varies. In half an hour the two thirds' middles are
// 18 minutes, 54,000 operations, 54 event streams and 18 faults apart: one goroutine or descriptor that each stream or
// fault leaves behind is seen, and so are 28 octets an operation at the 30 MB that 5,000 containers take. Between two
// collections the heap swings between the live part and twice that, so the median of n samples strays by about the live
// part / (2 √n): four times that is allowed to the heap, and to resident memory, which follows it and also depends on when the
// runtime gives memory back. Samples are taken after a collection, which leaves less of that. In a run of half a minute the live
// part tells: it strays by some tenths of a megabyte.
func levels(samples []sample) []level {
	samples = samples[len(samples)/10:]
	third := len(samples) / 3
	of := func(what string, least, share float64, value func(sample) float64) level {
		l := level{what: what, first: median(samples[:third], value), last: median(samples[len(samples)-third:], value)}
		l.allowed = max(least, share*l.first)
		return l
	}
	swing := 2 * median(samples, func(s sample) float64 { return s.live }) / math.Sqrt(float64(third))
	return []level{
		of("goroutines", 8, 0, func(s sample) float64 { return s.goroutines }),
		of("descriptors", 8, 0, func(s sample) float64 { return s.descriptors }),
		of("live MB", 1, 0.05, func(s sample) float64 { return s.live }),
		of("heap MB", swing, 0.20, func(s sample) float64 { return s.inUse }),
		of("RSS MB", swing, 0.10, func(s sample) float64 { return s.resident }),
	}
}

func median(samples []sample, value func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = value(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// A rise is seen, and noise or a rise at the beginning is taken for none.
func TestLevels(t *testing.T) {
	series := func(descriptors func(i int) float64) []sample {
		all := make([]sample, 180)
		for i := range all {
			all[i] = sample{goroutines: 60, live: 50, inUse: 70, resident: 120, descriptors: descriptors(i)}
		}
		return all
	}
	for what, c := range map[string]struct {
		descriptors func(i int) float64
		grows       bool
	}{
		"level":                   {func(int) float64 { return 20 }, false},
		"noise":                   {func(i int) float64 { return 20 + float64(i*7%11) }, false},
		"rise in the first tenth": {func(i int) float64 { return 20 + float64(min(i, 18)) }, false},
		"outages":                 {func(i int) float64 { return 20 + 40*float64(i%6/5) }, false},
		"one each two minutes":    {func(i int) float64 { return 20 + float64(i/12) }, true},
		"noise and a rise":        {func(i int) float64 { return 20 + float64(i*7%11) + float64(i)/10 }, true},
	} {
		grown := 0
		for _, l := range levels(series(c.descriptors)) {
			if l.check() != nil {
				grown++
			}
		}
		if want := map[bool]int{true: 1}[c.grows]; grown != want {
			t.Errorf("%s: %d levels have grown, want %d", what, grown, want)
		}
	}
}
