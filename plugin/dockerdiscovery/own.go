package dockerdiscovery

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// ownAddrs reads the addresses of this machine, or of the network namespace in which we run. It implements asker.Machine.
// Readers take no lock. A reading is used for ownAddrsAge.
type ownAddrs struct {
	current  atomic.Pointer[addrsAt]
	readings atomic.Uint64 // how often they were read
	now      func() time.Time
	after    func(time.Duration, func())          // calls the function after a while
	read     func() ([]net.Addr, error)           // the addresses of all interfaces
	beside   func(netip.Addr) ([]net.Addr, error) // the addresses of the interface that has this one
	route    func(netip.Addr) (netip.Addr, error) // the source address of packets to this one
}

// allAddrs reads the addresses of all interfaces. Tests have others than the machine on which they run.
var allAddrs = net.InterfaceAddrs

func newOwnAddrs() ownAddrs {
	return ownAddrs{now: time.Now, after: afterFunc, read: allAddrs, beside: interfaceAddrs, route: routeSource}
}

func afterFunc(d time.Duration, f func()) { time.AfterFunc(d, f) }

// addrsAt is a reading of the addresses. It also keeps the kernel's answers to later questions about single addresses.
type addrsAt struct {
	addrs   []netip.Addr
	at      time.Time
	reading uint64
	beside  memo[[]netip.Addr] // by an own address
	routes  memo[netip.Addr]   // by a remote one
	outside sync.Once          // finds the following
	leads   zone.Families      // to other hosts: see Docker.outside
}

// ownAddrsAge is how long a reading is used.
const ownAddrsAge = 5 * time.Second

// newAddrsAge is how old a reading must be for us to read again when a query comes in on an address that it lacks: such an
// address is new, or it is a proxy's, and no reading will ever have it.
const newAddrsAge = 100 * time.Millisecond

// Has implements asker.Machine.
func (o *ownAddrs) Has(ip netip.Addr) bool {
	return ip.IsLoopback() || slices.Contains(o.load().addrs, ip)
}

// Addrs implements asker.Machine.
func (o *ownAddrs) Addrs() ([]netip.Addr, uint64) {
	a := o.load()
	return a.addrs, a.reading
}

// Forget implements asker.Machine.
func (o *ownAddrs) Forget() { o.current.Store(nil) }

func (o *ownAddrs) load() *addrsAt {
	a := o.current.Load()
	if a != nil {
		return a
	}
	a = &addrsAt{at: o.now(), reading: o.readings.Add(1)}
	list, err := o.read()
	if err != nil {
		log.Debugf("Reading this machine's addresses: %v", err)
	}
	a.addrs = ipsOf(list)
	o.current.Store(a)
	o.after(ownAddrsAge, func() { o.current.CompareAndSwap(a, nil) }) // else each query would read the clock
	return a
}

// interfaceOf returns the addresses of the interface that has the own address, apart from those that
// count on one link only, IPv4 first. The slice must not be changed.
func (o *ownAddrs) interfaceOf(ip netip.Addr) []netip.Addr {
	a := o.load()
	unknown := func() bool { return !slices.Contains(a.addrs, ip.WithZone("")) }
	if unknown() && o.now().Sub(a.at) > newAddrsAge {
		o.Forget()
		a = o.load()
	}
	if unknown() {
		return nil
	}
	return a.beside.get(ip, func() []netip.Addr {
		list, err := o.beside(ip)
		if err != nil {
			log.Debugf("Reading the addresses beside %s: %v", ip, err)
		}
		ips := slices.DeleteFunc(ipsOf(list), func(ip netip.Addr) bool { return !ip.IsGlobalUnicast() })
		slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
		return ips
	})
}

// towards returns the own address from which an answer to the remote one goes out, with its zone.
func (o *ownAddrs) towards(remote netip.Addr) netip.Addr {
	return o.load().routes.get(remote, func() netip.Addr {
		ip, err := o.route(remote)
		if err != nil {
			log.Debugf("Looking up the route to %s: %v", remote, err)
		}
		return ip
	})
}

func ipsOf(list []net.Addr) []netip.Addr {
	ips := make([]netip.Addr, 0, len(list))
	for _, addr := range list {
		if prefix, err := netip.ParsePrefix(addr.String()); err == nil {
			ips = append(ips, prefix.Addr())
		}
	}
	return ips
}

// interfaceAddrs returns the addresses of the interface that has this one. A link-local address, which
// several may have, tells by its zone.
func interfaceAddrs(ip netip.Addr) ([]net.Addr, error) {
	if ip.Zone() != "" {
		i, err := net.InterfaceByName(ip.Zone())
		if err != nil {
			return nil, err
		}
		return i.Addrs()
	}
	all, err := net.Interfaces()
	for i := range all { // the machine's own come before containers'
		addrs, err := all[i].Addrs()
		if err != nil {
			return nil, err
		}
		if slices.Contains(ipsOf(addrs), ip) {
			return addrs, nil
		}
	}
	return nil, err
}

// routeSource asks the kernel by a socket, which sends nothing.
func routeSource(remote netip.Addr) (netip.Addr, error) {
	const anyPort = 53
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(remote, anyPort)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return zonedAddr(conn.LocalAddr()), nil
}

// memo keeps a value for each address, but for no more than memoSize addresses: a packet may claim any source.
type memo[V any] struct {
	found sync.Map // netip.Addr to V
	size  atomic.Int32
}

const memoSize = 4096

// get returns the address's value, which it finds and keeps if it has none yet.
func (m *memo[V]) get(ip netip.Addr, find func() V) V {
	if v, ok := m.found.Load(ip); ok {
		return v.(V)
	}
	v := find()
	if m.size.Add(1) <= memoSize {
		m.found.Store(ip, v)
	}
	return v
}
