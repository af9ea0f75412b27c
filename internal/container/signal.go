package container

import (
	"slices"
	"strconv"
	"strings"
)

// signals are Linux's from 1 on, whatever system we run on: engines run Linux.
var signals = strings.Fields(`HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT
	CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS`)

// rtmin is the first real-time signal as C libraries and Docker count them.
const rtmin = 34

// signal returns the number of a signal that is written as a number, a name, or a name
// with SIG before it; RTMIN+n too. It returns 0 if it is none of these.
func signal(s string) int {
	s = strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	if offset, ok := strings.CutPrefix(s, "RTMIN"); ok {
		n, err := strconv.Atoi(strings.TrimPrefix(offset, "+"))
		if err != nil && offset != "" {
			return 0
		}
		return rtmin + n
	}
	return slices.Index(signals, s) + 1
}

// Stops reports whether the signal tells the container to stop: what it declares as its
// stop signal, TERM, QUIT, INT and KILL.
func (c *Container) Stops(sig string) bool {
	n := signal(sig)
	if n == 0 {
		return false
	}
	return n == signal(c.StopSignal) || n == signal("TERM") || n == signal("QUIT") || n == signal("INT") || n == signal("KILL")
}
