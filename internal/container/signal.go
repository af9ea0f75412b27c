package container

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// signals are Linux's from 1 on, whatever system we run on: engines run Linux.
var signals = strings.Fields(`HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT
	CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS`)

// rtmin and rtmax are the first and the last real-time signal as C libraries and Docker count them.
const rtmin, rtmax = 34, 64

// signal returns the number of a signal that is written as a number, a name, or a name
// with SIG before it; RTMIN+n and RTMAX-n too. It returns 0 if it is none of these.
func signal(s string) int {
	s = strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	for name, first := range map[string]int{"RTMIN": rtmin, "RTMAX": rtmax} {
		if offset, ok := strings.CutPrefix(s, name); ok {
			n, err := strconv.Atoi(cmp.Or(offset, "0")) // with its sign
			if err != nil {
				return 0
			}
			return first + n
		}
	}
	return slices.Index(signals, s) + 1
}

// Stops reports whether the signal tells the container to stop: what it declares as its
// stop signal, TERM if it declares none, and KILL. Others mean what its program makes of them: QUIT has a
// Java machine print its threads.
func (c *Container) Stops(sig string) bool {
	n := signal(sig)
	return n != 0 && (n == cmp.Or(signal(c.StopSignal), signal("TERM")) || n == signal("KILL"))
}
