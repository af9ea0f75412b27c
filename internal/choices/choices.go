// Package choices has tests that try many schedules write down what they have chosen, so that a failure can be had again.
package choices

import (
	"fmt"
	"strconv"
	"strings"
)

// Path is the choices of a schedule, as far as they are decided.
type Path []choice

// choice is one of so many.
type choice struct{ is, of int }

// String returns the path as [Parse] takes it: 0/3.2/5 for the first of three, then the last but two of five.
func (p Path) String() string {
	var all []string
	for _, c := range p {
		all = append(all, fmt.Sprint(c.is, "/", c.of))
	}
	return strings.Join(all, ".")
}

// Parse reads a path.
func Parse(text string) (p Path, err error) {
	for part := range strings.SplitSeq(text, ".") {
		is, of, _ := strings.Cut(part, "/")
		var c choice
		if c.is, err = strconv.Atoi(is); err == nil {
			c.of, err = strconv.Atoi(of)
		}
		if err != nil || c.is < 0 || c.is >= c.of {
			return nil, fmt.Errorf("choice %q is not of the form 1/3", part)
		}
		p = append(p, c)
	}
	return p, nil
}

// Follow returns a function that chooses one of n as the path says, and after that by then, whose choices it adds to the path. It
// panics if there is another number of things to choose from than there was: then it is not the schedule that the path
// was of.
func (p *Path) Follow(then func(n int) int) func(n int) int {
	i := 0
	return func(n int) int {
		if i == len(*p) {
			*p = append(*p, choice{then(n), n})
		}
		c := (*p)[i]
		i++
		if c.of != n {
			panic(fmt.Sprintf("choice %d is one of %d, and was one of %d: this is not the schedule", i, n, c.of))
		}
		return c.is
	}
}

// Next makes the path that of the next schedule of all, and reports whether there is one. The first is that of all choices 0.
func (p *Path) Next() bool {
	for n := len(*p); n > 0; n-- {
		if c := &(*p)[n-1]; c.is+1 < c.of {
			c.is++
			*p = (*p)[:n]
			return true
		}
	}
	return false
}

// First chooses the first of all.
func First(int) int { return 0 }

// None is for schedules of which all choices are known. It panics.
func None(int) int { panic("the schedule has further choices") }
