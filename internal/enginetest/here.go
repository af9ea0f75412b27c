package enginetest

import (
	"errors"
	"net"
	"net/netip"
)

// RunHere has the engine count as one on this machine: it runs a container, "anchor", on a network, "machine", whose
// gateway is an address of this machine's. An engine none of whose gateways in use is one counts as an engine in a
// virtual machine, whose containers this machine does not reach.
func (e *Engine) RunHere() error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 { // it may have addresses for a while
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
				e.AddNetwork("machine", netip.PrefixFrom(p.Addr(), 24).String())
				e.Run(Spec{Name: "anchor", NetworkMode: "machine"})
				return nil
			}
		}
	}
	return errors.New("enginetest: this machine has no IPv4 address but the loopback's")
}
