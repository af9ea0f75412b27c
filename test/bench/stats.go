package main

import (
	"fmt"
	"math"
	"slices"
)

// estimate is the median of a sample, with the interval in which the population's median lies with at
// least 95 % confidence, whatever the distribution (order statistics).
type estimate struct {
	Median, Low, High float64
	N                 int // the size of the sample
}

// estimateOf leaves the sample as it is. Fewer than six have no such interval: it is then all
// that there is.
func estimateOf(sample []float64) estimate {
	s := slices.Sorted(slices.Values(sample))
	n := len(s)
	if n == 0 {
		return estimate{Median: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	k := max(1, signRank(n))
	return estimate{Median: quantile(s, 0.5), Low: s[k-1], High: s[n-k], N: n}
}

// signRank is the highest k for which the k-th smallest of n is above the median with a probability of at
// most 2.5 %, which is P(Bin(n, ½) < k); 0 if there is none.
func signRank(n int) int {
	if n > 1000 { // the terms below would be too small for a float; the normal distribution is close
		return int(float64(n)/2 - 1.96*math.Sqrt(float64(n))/2)
	}
	k, term, below := 0, math.Pow(0.5, float64(n)), 0.0
	for below+term <= 0.025 {
		below += term
		term *= float64(n-k) / float64(k+1)
		k++
	}
	return k
}

// spread is the interval's width relative to the median.
func (e estimate) spread() float64 { return (e.High - e.Low) / e.Median }

// format tells the median with the digits, and the interval if it is one.
func (e estimate) format(digits int) string {
	if e.N == 1 {
		return fmt.Sprintf("%.*f", digits, e.Median)
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, e.Median, digits, e.Low, digits, e.High)
}

// ratios divides pair by pair: what the machine did at that time is in both.
func ratios(a, b []float64) []float64 {
	r := make([]float64, min(len(a), len(b)))
	for i := range r {
		r[i] = a[i] / b[i]
	}
	return r
}

// quantile is that of a sorted sample, between two values in proportion.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
