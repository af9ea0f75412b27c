// Package socket tells who has a port.
package socket

import (
	"fmt"
	"net/netip"
	"slices"
)

// Holder has a socket at an address.
type Holder struct {
	Addr    netip.AddrPort
	Process string // its program's name, "" where that can't be seen: only root sees other users' sockets
	ID      int    // the process's
}

// String returns how a sentence calls the process, "" if that can't be seen.
func (h Holder) String() string {
	if h.Process == "" {
		return ""
	}
	return fmt.Sprintf("%s (process %d)", h.Process, h.ID)
}

// Known returns the first holder whose process can be seen, the zero Holder if there is none.
func Known(holders []Holder) Holder {
	if i := slices.IndexFunc(holders, func(h Holder) bool { return h.Process != "" }); i >= 0 {
		return holders[i]
	}
	return Holder{}
}
