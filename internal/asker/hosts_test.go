package asker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// feed gives the index a host's facts, "HOST REACHED NETWORK[:DRIVER][+]=SUBNET... | CONTAINER NETWORK=IP... | ...". The engine is
// reached by a socket, or over the network at an address; unrouted, by a socket too, does not reach its containers. A network
// with + spans hosts. What ran before runs no more.
func feed(x *Index, text string) *Feed {
	head, containers, _ := strings.Cut(text, " | ")
	words := strings.Fields(head)
	f := x.Feed(container.HostID(words[0]))
	h := container.Host{Routed: words[1] != "unrouted"}
	if peer, err := netip.ParseAddr(words[1]); err == nil {
		h.Peer = peer
		f.EngineAt([]netip.Addr{peer})
	}
	for _, word := range words[2:] {
		name, subnet, _ := strings.Cut(word, "=")
		name, spans := strings.CutSuffix(name, "+")
		name, driver, other := strings.Cut(name, ":")
		if !other {
			driver = "bridge"
		}
		prefix := netip.MustParsePrefix(subnet)
		var reach container.Reach
		if driver == "macvlan" || driver == "ipvlan" {
			reach = container.OnLAN
		}
		h.Networks = append(h.Networks, container.Network{
			ID: name + "-id", Name: name, Driver: driver, Spans: spans, Subnets: []netip.Prefix{prefix}, Gateways: []netip.Addr{prefix.Addr().Next()},
			Reach4: reach, Reach6: reach,
		})
	}
	f.Host(h)
	var changes []container.Change
	for id := range f.facts {
		changes = append(changes, container.Change{ID: id})
	}
	for c := range strings.SplitSeq(containers, " | ") {
		if name, addrs, _ := strings.Cut(c, " "); name != "" {
			facts := containertest.New(name, addrs)
			changes = append(changes, container.Change{ID: facts.ID, Container: facts})
		}
	}
	f.Apply(changes)
	return f
}

// who tells who asks from the address: "HOST CONTAINER", with ? for what is not known, "host HOST...", "elsewhere".
func who(t *testing.T, x *Index, ip string) string {
	t.Helper()
	names := func(hosts []container.HostID) string {
		if hosts == nil {
			return "all"
		}
		return strings.Trim(fmt.Sprint(hosts), "[]")
	}
	a := x.Who(netip.MustParseAddr(ip))
	switch a.Kind {
	case zone.Host:
		return "host " + names(a.Hosts)
	case zone.Elsewhere:
		if a.Hosts != nil || a.Client != nil {
			t.Errorf("%s is elsewhere, of %v, container %v", ip, a.Hosts, a.Client)
		}
		return "elsewhere"
	}
	name := a.Client.Name
	if name == "" {
		name = "?"
	}
	if a.Client.feed == nil {
		if a.Hosts == nil || len(a.Hosts) > 0 {
			t.Errorf("%s is a container of an unknown host, and its own hosts are %v", ip, a.Hosts)
		}
		return "? " + name
	}
	want := []container.HostID{a.Client.feed.host}
	if len(*x.feeds.Load()) == 1 {
		want = nil
	}
	if !slices.Equal(a.Hosts, want) || (a.Hosts == nil) != (want == nil) {
		t.Errorf("%s is a container of %s, and its own hosts are %v", ip, a.Client.feed.host, a.Hosts)
	}
	return string(a.Client.feed.host) + " " + name
}

// permute yields the items in each order.
func permute(items []string, yield func([]string)) {
	if len(items) < 2 {
		yield(items)
		return
	}
	for i := range items {
		permute(slices.Concat(items[:i:i], items[i+1:]), func(rest []string) { yield(append([]string{items[i]}, rest...)) })
	}
}

// TestHosts has several hosts whose networks, containers and addresses are called alike, in each order of their endpoints.
func TestHosts(t *testing.T) {
	const (
		socket = " socket bridge=172.17.0.0/16 | web bridge=172.17.0.2"
		remote = " 203.0.113.5 bridge=172.17.0.0/16 | web bridge=172.17.0.2"
	)
	for name, c := range map[string]struct {
		own   string
		hosts []string
		want  map[string]string
	}{
		"one": {"172.17.0.1", []string{"a" + socket}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "172.17.0.1": "host all", "127.0.0.1": "host all", "203.0.113.5": "elsewhere"}},
		"one far": {"192.0.2.1", []string{"a" + remote}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "172.17.0.1": "elsewhere", "127.0.0.1": "elsewhere", "203.0.113.5": "elsewhere"}},
		"one far, with an own address in its network": {"172.17.0.9", []string{"a" + remote}, map[string]string{"172.17.0.2": "a web", "172.17.0.9": "elsewhere"}},
		"one, in a container that is not known yet":   {"172.17.0.9", []string{"a socket bridge=172.17.0.0/16"}, map[string]string{"172.17.0.9": "host all"}},
		"one, with a network that spans hosts": {"172.17.0.1", []string{"a socket bridge=172.17.0.0/16 over:overlay+=10.0.1.0/24 | web over=10.0.1.2"}, map[string]string{
			"10.0.1.2": "a web", "10.0.1.3": "a ?"}},
		"near and far": {"172.17.0.1 192.0.2.1", []string{"a" + socket, "b" + remote}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "172.17.0.1": "host a", "192.0.2.1": "host a", "::1": "host a", "203.0.113.5": "elsewhere"}},
		"near and in a virtual machine": {"172.17.0.1", []string{"a" + socket, "b unrouted bridge=172.17.0.0/16 vm=172.18.0.0/16 | web bridge=172.17.0.2 | db vm=172.18.0.2"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "172.18.0.2": "b db", "127.0.0.1": "host a"}},
		"near and far, and a container of the one alone": {"172.17.0.1", []string{"a" + socket, "b" + remote + " | db bridge=172.17.0.3"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?"}},
		"a network of the far one alone": {"172.17.0.1", []string{"a" + socket, "b 203.0.113.5 bridge=172.17.0.0/16 own=10.9.0.0/16 | web bridge=172.17.0.2 own=10.9.0.2"}, map[string]string{
			"172.17.0.2": "a web", "10.9.0.2": "b web", "10.9.0.3": "b ?", "10.9.0.1": "elsewhere"}},
		"near and near": {"172.17.0.1 10.88.0.1", []string{"a" + socket, "b socket podman=10.88.0.0/16 | web podman=10.88.0.2"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "10.88.0.2": "b web", "10.88.0.3": "b ?", "172.17.0.1": "host all", "10.88.0.1": "host all", "127.0.0.1": "host all"}},
		"a neighbour on a LAN that has a bridge's addresses": {"172.17.0.1 10.88.0.1", []string{"a" + socket, "b socket podman=10.88.0.0/16 lan:macvlan=172.17.0.0/16 | web podman=10.88.0.2 | p lan=172.17.0.2"}, map[string]string{
			"172.17.0.2": "a web", "10.88.0.2": "b web"}},
		"near, near and far": {"172.17.0.1 10.88.0.1", []string{"a" + socket, "b socket podman=10.88.0.0/16 | web podman=10.88.0.2", "c" + remote + " | db bridge=172.17.0.3"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "10.88.0.2": "b web", "10.88.0.1": "host a b", "127.0.0.1": "host a b"}},
		"far and far": {"192.0.2.1", []string{"a 203.0.113.4 bridge=172.17.0.0/16 x=10.8.0.0/16 | web bridge=172.17.0.2 x=10.8.0.2", "b" + remote + " | db bridge=172.17.0.3"}, map[string]string{
			"172.17.0.2": "elsewhere", "172.17.0.3": "elsewhere", "172.17.0.4": "elsewhere", "172.17.0.1": "elsewhere",
			"10.8.0.2": "a web", "10.8.0.3": "a ?", "192.0.2.1": "elsewhere", "127.0.0.1": "elsewhere"}},
		"near, far and far": {"172.17.0.1", []string{"a" + socket, "b" + remote + " x=10.8.0.2", "c 203.0.113.6 bridge=172.17.0.0/16 x=10.8.0.0/16 | web bridge=172.17.0.2 x=10.8.0.2"}, map[string]string{
			"172.17.0.2": "a web", "10.8.0.2": "elsewhere", "127.0.0.1": "host a"}},
		"neighbours on the LAN": {"192.0.2.1 172.17.0.1", []string{
			"a socket bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24 | web bridge=172.17.0.2 | p lan=192.0.2.33 | twice lan=192.0.2.35 | near lan=192.0.2.36",
			"b 203.0.113.5 bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24 wide=192.0.0.0/16 | web bridge=172.17.0.2 | p lan=192.0.2.34 | twice lan=192.0.2.35 | routed wide=192.0.2.36",
			"c 203.0.113.6 lan:ipvlan=172.17.0.0/16 | p lan=172.17.0.2"}, map[string]string{
			"192.0.2.33": "a p", "192.0.2.34": "b p", "192.0.2.35": "elsewhere", "192.0.2.36": "a near", "192.0.2.1": "host a", "172.17.0.2": "a web"}},
		"an own address that a far container has": {"192.0.2.1 172.17.0.1", []string{"a" + socket, "b 203.0.113.5 lan:macvlan=192.0.2.0/24 x=172.16.0.0/12 | p lan=192.0.2.1 | q x=172.17.0.1"}, map[string]string{
			"192.0.2.1": "host a", "172.17.0.1": "host a"}},
		"in a container of the near one": {"172.17.0.3", []string{"a" + socket + " | us bridge=172.17.0.3", "b" + remote + " | them bridge=172.17.0.3"}, map[string]string{
			"172.17.0.3": "a us", "172.17.0.2": "a web", "172.17.0.1": "host a", "172.17.0.4": "a ?", "127.0.0.1": "host a"}},
		"in a container of one that is not routed": {"172.17.0.3", []string{"a unrouted bridge=172.17.0.0/16 | us bridge=172.17.0.3", "b 203.0.113.5 x=10.8.0.0/16 | web x=10.8.0.2"}, map[string]string{
			"172.17.0.3": "a us", "172.17.0.1": "elsewhere", "127.0.0.1": "elsewhere", "10.8.0.2": "b web"}},
		"in a container of the near one, beside one that is not routed": {"172.17.0.3", []string{"b unrouted bridge=172.17.0.0/16 | db bridge=172.17.0.3", "a" + socket + " | us bridge=172.17.0.3"}, map[string]string{
			"172.17.0.3": "a us", "172.17.0.2": "a web", "172.17.0.1": "host a"}},
		"an engine in a container of the near one": {"172.17.0.1", []string{"a" + socket + " | dind bridge=172.17.0.3", "b 172.17.0.3 bridge=172.17.0.0/16 | web bridge=172.17.0.2 | db bridge=172.17.0.3"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a dind", "172.17.0.4": "a ?", "127.0.0.1": "host a"}},
		"an engine by a tunnel": {"172.17.0.1", []string{"a" + socket, "b 127.0.0.1 bridge=172.17.0.0/16 | web bridge=172.17.0.2 | db bridge=172.17.0.3"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "127.0.0.1": "host a"}},
		"an engine at an own address": {"172.17.0.1 192.0.2.1", []string{"a 192.0.2.1 bridge=172.17.0.0/16 | web bridge=172.17.0.2", "b" + remote}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.1": "host a", "127.0.0.1": "host a"}},
		"an engine through its own proxy": {"172.17.0.1", []string{"a 172.17.0.3 bridge=172.17.0.0/16 | web bridge=172.17.0.2 | proxy bridge=172.17.0.3", "b" + remote + " | proxy bridge=172.17.0.3"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a proxy", "127.0.0.1": "host a"}},
		"rootless beside": {"172.17.0.1", []string{"b unrouted bridge=172.17.0.0/16 | web bridge=172.17.0.2 | db bridge=172.17.0.3", "a" + socket}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "127.0.0.1": "host a"}},
		"another that is idle": {"172.17.0.1", []string{"a" + socket, "b socket bridge=172.17.0.0/16"}, map[string]string{
			"172.17.0.2": "a web", "172.17.0.3": "a ?", "172.17.0.1": "host all"}},
		"both are idle": {"172.17.0.1", []string{"a socket bridge=172.17.0.0/16 x=10.8.0.0/16", "b socket bridge=172.17.0.0/16"}, map[string]string{
			"172.17.0.2": "elsewhere", "10.8.0.2": "a ?", "127.0.0.1": "host all"}},
		"before they have told": {"172.17.0.1", []string{"a socket", "b socket"}, map[string]string{"172.17.0.2": "elsewhere", "127.0.0.1": "host all", "172.17.0.1": "host all"}},
		"a network that spans both": {"172.17.0.1", []string{
			"a socket bridge=172.17.0.0/16 over:overlay+=10.0.1.0/24 | web bridge=172.17.0.2 over=10.0.1.2 | moved over=10.0.1.4",
			"b 203.0.113.5 bridge=172.17.0.0/16 over:overlay+=10.0.1.0/24 | web bridge=172.17.0.2 over=10.0.1.3 | moved over=10.0.1.4"}, map[string]string{
			"172.17.0.2": "a web", "10.0.1.2": "a web", "10.0.1.3": "b web", "10.0.1.4": "elsewhere", "10.0.1.9": "? ?", "127.0.0.1": "host a"}},
		"a network that spans two far ones": {"172.17.0.1", []string{"a" + socket,
			"b 203.0.113.5 over:overlay+=10.0.1.0/24 | web over=10.0.1.3", "c 203.0.113.6 over:overlay+=10.0.1.0/24 | web over=10.0.1.2"}, map[string]string{
			"10.0.1.2": "c web", "10.0.1.3": "b web", "10.0.1.9": "? ?"}},
		"a network of one's own that is called as one that spans": {"172.17.0.1", []string{"a" + socket,
			"b 203.0.113.5 over:overlay+=10.0.1.0/24 | web over=10.0.1.3", "c 203.0.113.6 over=10.0.1.0/24 | web over=10.0.1.2"}, map[string]string{
			"10.0.1.2": "elsewhere", "10.0.1.3": "elsewhere"}},
	} {
		permute(c.hosts, func(hosts []string) {
			x := New(machine(strings.Fields(c.own)...), []netip.Prefix{netip.MustParsePrefix("172.17.0.99/32")}, nil)
			for _, host := range hosts {
				x.Feed(container.HostID(strings.Fields(host)[0]))
			}
			for _, host := range c.hosts {
				feed(x, host)
			}
			if got := who(t, x, "172.17.0.99"); got != "elsewhere" {
				t.Errorf("%s: a forwarder is %s", name, got)
			}
			for ip, want := range c.want {
				got := who(t, x, ip)
				if sorted := strings.Fields(got); sorted[0] == "host" { // in any order
					slices.Sort(sorted[1:])
					got = strings.Join(sorted, " ")
				}
				if got != want {
					t.Errorf("%s, %q: %s is %s, want %s", name, hosts, ip, got, want)
				}
			}
		})
	}
}

// TestChangingHosts takes two hosts of equal names and addresses through changes.
func TestChangingHosts(t *testing.T) {
	const far = "b 203.0.113.5 bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24"
	m := machine("192.0.2.1", "172.17.0.1")
	x := New(m, nil, nil)
	for i, step := range []struct {
		own   string // if it changes
		hosts []string
		want  string // who asks from 172.17.0.2, 192.0.2.33, 127.0.0.1
	}{
		{"", []string{"a socket", "b 203.0.113.5"}, "elsewhere, elsewhere, host a"},
		{"", []string{far + " | web bridge=172.17.0.2 | p lan=192.0.2.33"}, "b web, b p, host a"},
		{"", []string{"a socket bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24"}, "a ?, b p, host a"},
		{"", []string{"a socket bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24 | web bridge=172.17.0.2"}, "a web, b p, host a"},
		// It moves from one host to the other, which tells first.
		{"", []string{"a socket bridge=172.17.0.0/16 lan:macvlan=192.0.2.0/24 | web bridge=172.17.0.2 | p lan=192.0.2.33"}, "a web, elsewhere, host a"},
		{"", []string{far + " | web bridge=172.17.0.2"}, "a web, a p, host a"},
		// The near one turns out to be in a virtual machine, and back.
		{"192.0.2.1", nil, "elsewhere, a p, elsewhere"},
		{"", []string{far}, "elsewhere, a p, elsewhere"},
		{"192.0.2.1 172.17.0.1", nil, "a web, a p, host a"},
		{"", []string{far + " | web bridge=172.17.0.2"}, "a web, a p, host a"},
		{"", []string{"a unrouted bridge=172.17.0.0/16 | web bridge=172.17.0.2"}, "elsewhere, elsewhere, elsewhere"},
		// The far one turns out to be here.
		{"", []string{"b 192.0.2.1 bridge=172.17.0.0/16 | web bridge=172.17.0.2"}, "b web, elsewhere, host b"},
	} {
		if step.own != "" {
			m.addrs = ips(strings.Fields(step.own)...)
			m.Forget()
		}
		for _, host := range step.hosts {
			feed(x, host)
		}
		if got := who(t, x, "172.17.0.2") + ", " + who(t, x, "192.0.2.33") + ", " + who(t, x, "127.0.0.1"); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

// TestNetworkBecomesSpanning has a network known as another one than it was at first.
func TestNetworkBecomesSpanning(t *testing.T) {
	x := New(machine("172.17.0.1"), nil, nil)
	networks := func(ip string) []container.NetworkID { return x.Who(netip.MustParseAddr(ip)).Client.Networks }
	local := func(host container.HostID) []container.NetworkID {
		return []container.NetworkID{container.LocalNetwork(host, "bridge"), container.LocalNetwork(host, "over")}
	}
	a := feed(x, "a socket bridge=172.17.0.0/16 over:overlay=10.0.1.0/24 | web bridge=172.17.0.2 over=10.0.1.2")
	b := feed(x, "b 203.0.113.5 bridge=172.17.0.0/16 over:overlay=10.0.1.0/24 | web bridge=172.17.0.2 over=10.0.1.3")
	for ip, want := range map[string]string{"10.0.1.2": "a web", "10.0.1.3": "a ?", "10.0.1.4": "a ?"} {
		if got := who(t, x, ip); got != want {
			t.Errorf("before: %s is %s, want %s", ip, got, want)
		}
	}
	if got := networks("10.0.1.2"); !slices.Equal(got, local("a")) {
		t.Errorf("before: %v", got)
	}
	spanning := container.SpanningNetwork("over-id")
	for _, f := range []*Feed{b, a} {
		h := f.known.Load().host
		h.Networks = slices.Clone(h.Networks)
		h.Networks[1].Spans = true
		f.Host(h)
		if c := f.client(netip.MustParseAddr(map[*Feed]string{a: "10.0.1.2", b: "10.0.1.3"}[f])); !slices.Equal(c.Networks, []container.NetworkID{local(f.host)[0], spanning}) {
			t.Errorf("of %s: %v", f.host, c.Networks)
		}
	}
	for ip, want := range map[string]string{"10.0.1.2": "a web", "10.0.1.3": "b web", "10.0.1.4": "? ?", "172.17.0.2": "a web"} {
		if got := who(t, x, ip); got != want {
			t.Errorf("after: %s is %s, want %s", ip, got, want)
		}
	}
	if got := networks("10.0.1.4"); !slices.Equal(got, []container.NetworkID{spanning}) {
		t.Errorf("who is not known is on %v", got)
	}
}

// TestReach asks for where hosts are reached, and by whom.
func TestReach(t *testing.T) {
	x := New(machine("192.0.2.1", "172.17.0.1", "10.8.0.1", "10.88.0.1"), nil, nil)
	feed(x, "a socket bridge=172.17.0.0/16 x=10.8.0.0/16 lan:macvlan=192.0.2.0/24 | web bridge=172.17.0.2 | xweb x=10.8.0.2 | p lan=192.0.2.33 | both lan=192.0.2.34 x=10.8.0.3")
	feed(x, "b socket podman=10.88.0.0/16 | web podman=10.88.0.2")
	feed(x, "c 203.0.113.5 bridge=172.17.0.0/16 x=10.8.0.0/16 y=10.9.0.0/16 lan:macvlan=192.0.2.0/24 | web bridge=172.17.0.2 | yweb y=10.9.0.2 | p lan=192.0.2.35")
	for _, c := range []struct{ from, a, b, c string }{
		{"172.17.0.2", "172.17.0.1", "172.17.0.1", ""}, {"10.8.0.2", "10.8.0.1", "10.8.0.1", ""}, {"10.8.0.9", "10.8.0.1", "10.8.0.1", ""},
		{"10.88.0.2", "10.88.0.1", "10.88.0.1", ""}, {"192.0.2.33", "", "", ""}, {"192.0.2.34", "10.8.0.1", "10.8.0.1", ""},
		{"10.9.0.2", "", "", "10.9.0.1"}, {"10.9.0.9", "", "", "10.9.0.1"}, {"192.0.2.35", "", "", ""},
		// As the Docker host: by loopback, an own address, and a bridge.
		{"127.0.0.1", "172.17.0.1", "10.88.0.1", ""}, {"192.0.2.1", "172.17.0.1", "10.88.0.1", ""},
		{"10.8.0.1", "10.8.0.1", "10.8.0.1", ""}, {"10.88.0.1", "10.88.0.1", "10.88.0.1", ""},
	} {
		from := netip.MustParseAddr(c.from)
		client := x.Who(from).Client
		for host, want := range map[container.HostID]string{"a": c.a, "b": c.b, "c": c.c, "nobody": ""} {
			got := x.BridgeAddrs(from, host)
			if client != nil {
				got = x.Gateways(client, host)
			}
			if s := strings.Trim(fmt.Sprint(got), "[]"); s != want {
				t.Errorf("%s reaches %s at %q, want %q", c.from, host, s, want)
			}
		}
	}
	for ip, want := range map[string]string{"172.17.0.1": "bridge of a", "10.8.0.7": "x of a", "10.88.0.1": "podman of b", "10.9.0.1": " of ", "192.0.2.1": " of "} {
		got, on := "", ""
		if n := x.Network(netip.MustParseAddr(ip)); n != nil {
			got = n.Name
			on = map[string]string{"bridge": "a", "x": "a", "podman": "b", "y": "c"}[n.Name]
		}
		if got+" of "+on != want {
			t.Errorf("%s lies in %s of %s, want %s", ip, got, on, want)
		}
	}
	for _, c := range []struct {
		host container.HostID
		ip   string
		want bool
	}{
		{"a", "10.8.0.7", true}, {"b", "10.8.0.7", false}, {"c", "10.8.0.7", true}, {"a", "10.9.0.7", false}, {"c", "10.9.0.7", true}, {"a", "192.0.2.7", false}, {"nobody", "10.8.0.7", false},
	} {
		if got := x.OnBridge(c.host, netip.MustParseAddr(c.ip)); got != c.want {
			t.Errorf("%s lies on a bridge of %s: %v", c.ip, c.host, got)
		}
	}
	for host, want := range map[container.HostID]string{"a": "near", "b": "near", "c": "[203.0.113.5]", "nobody": "[]"} {
		got := "near"
		if v := x.Vantage(host); v.Elsewhere {
			got = fmt.Sprint(v.Remote)
		}
		if got != want {
			t.Errorf("%s is at %s, want %s", host, got, want)
		}
	}
	for network, want := range map[container.NetworkID]bool{
		container.LocalNetwork("a", "lan"): true, container.LocalNetwork("b", "lan"): false, container.LocalNetwork("c", "lan"): true, container.LocalNetwork("c", "x"): false,
	} {
		if got := x.Direct(network); got != want {
			t.Errorf("%v is direct: %v", network, got)
		}
	}
	if got := x.Who(netip.IPv6Loopback()).Hosts; !slices.Equal(got, []container.HostID{"a", "b"}) {
		t.Errorf("this machine is %v", got)
	}
}

// TestUnusedBridge asks where the host is reached whose bridges are there, and have no container: Linux lets nobody use an IPv6 address of
// an interface that has not had a carrier yet.
func TestUnusedBridge(t *testing.T) {
	const v4, v6 = "172.17.0.1 10.8.0.1", "fd00::1 fd01::1"
	for containers, want := range map[string]string{
		"":                                "172.17.0.1",
		" | web x4=10.8.0.2":              "172.17.0.1",
		" | web y=fd01::2":                "172.17.0.1 fd01::1",
		" | web x=fd00::2 | db y=fd01::2": "172.17.0.1 fd00::1",
	} {
		x := New(machine(strings.Fields(v4+" "+v6)...), nil, nil)
		feed(x, "a socket bridge=172.17.0.0/16 x4=10.8.0.0/16 x=fd00::/64 y=fd01::/64"+containers)
		if got := strings.Trim(fmt.Sprint(x.BridgeAddrs(netip.MustParseAddr("172.17.0.1"), "a")), "[]"); got != want {
			t.Errorf("with %q the host is reached at %s, want %s", containers, got, want)
		}
	}
}

// TestHere asks whose packets to other hosts leave through this machine.
func TestHere(t *testing.T) {
	x := New(machine("192.0.2.1", "172.17.0.1"), nil, nil)
	feed(x, "a socket bridge=172.17.0.0/16 lan:macvlan=198.51.100.0/24 | web bridge=172.17.0.2 | p lan=198.51.100.33")
	feed(x, "c 203.0.113.5 bridge=172.17.0.0/16 y=10.9.0.0/16 | web bridge=172.17.0.2 | yweb y=10.9.0.2")
	for from, want := range map[string]bool{
		"172.17.0.2": true, "172.17.0.9": true, "127.0.0.1": true, "172.17.0.1": true, "192.0.2.1": true,
		"198.51.100.33": false, "10.9.0.2": false, "198.51.100.9": false,
	} {
		if got := x.Who(netip.MustParseAddr(from)).Here; got != want {
			t.Errorf("%s sends through this machine: %v", from, got)
		}
	}
}

// TestMasked asks whose address may hide others who come by NAT: that of a gateway, if we run in a container, and the machine's
// where it also has a virtual machine's containers.
func TestMasked(t *testing.T) {
	const here, far = "a socket bridge=172.17.0.0/16 | us bridge=172.17.0.9", "c 203.0.113.5 bridge=172.18.0.0/16 | web bridge=172.18.0.2"
	for name, c := range map[string]struct {
		machine *computer
		feeds   []string
		want    map[string]bool
	}{
		"on the host":              {machine("192.0.2.1", "172.17.0.1"), []string{here}, map[string]bool{"127.0.0.1": false, "172.17.0.1": false, "192.0.2.1": false, "172.17.0.9": false, "192.0.2.7": false}},
		"in a container":           {machine("172.17.0.9"), []string{here}, map[string]bool{"127.0.0.1": false, "172.17.0.1": true}},
		"beside another machine":   {machine("192.0.2.1", "172.17.0.1"), []string{here, far}, map[string]bool{"127.0.0.1": false, "192.0.2.1": false}},
		"beside a virtual machine": {machine("192.0.2.1", "172.17.0.1"), []string{here, "v unrouted bridge=172.19.0.0/16"}, map[string]bool{"127.0.0.1": true, "192.0.2.1": true, "172.17.0.9": false}},
	} {
		x := New(c.machine, nil, nil)
		for _, text := range c.feeds {
			feed(x, text)
		}
		for from, want := range c.want {
			if got := x.Who(netip.MustParseAddr(from)).Masked; got != want {
				t.Errorf("%s: %s may hide others: %v, want %v", name, from, got, want)
			}
		}
	}
}

// TestNobodyNear asks which hosts this machine is where all are elsewhere.
func TestNobodyNear(t *testing.T) {
	x := New(machine("192.0.2.1"), nil, nil)
	feed(x, "a 203.0.113.5 x=10.8.0.0/16")
	if n := x.Network(netip.MustParseAddr("10.8.0.2")); n == nil || n.Name != "x" {
		t.Errorf("an address of x lies in %v", n)
	}
	feed(x, "b 203.0.113.6 x=10.8.0.0/16")
	if got := x.Who(netip.IPv6Loopback()).Kind; got != zone.Elsewhere {
		t.Errorf("this machine asks as %v, want from elsewhere", got)
	}
	if got := x.BridgeAddrs(netip.IPv6Loopback(), "a"); got != nil {
		t.Errorf("the first one is reached at %v", got)
	}
}

// TestRemoteEngines asks where hosts are whose engine is reached over the network, beside one on this machine.
func TestRemoteEngines(t *testing.T) {
	for name, c := range map[string]struct{ host, want string }{
		"on another machine":                {"b 203.0.113.5 bridge=172.17.0.0/16 | web bridge=172.17.0.2", "[203.0.113.5]"},
		"in a container":                    {"b 172.17.0.2 bridge=172.17.0.0/16 | db bridge=172.17.0.2", "[172.17.0.2]"},
		"in one that is not known yet":      {"b 172.17.0.5 bridge=172.17.0.0/16 | db bridge=172.17.0.5", "[172.17.0.5]"},
		"behind a tunnel":                   {"b 127.0.0.1 bridge=172.17.0.0/16 | db bridge=172.17.0.2", "this machine, elsewhere"},
		"on this machine":                   {"b 192.0.2.1 podman=10.88.0.0/16 | db podman=10.88.0.2", "this machine"},
		"behind a proxy of its own":         {"b 10.88.0.2 podman=10.88.0.0/16 | proxy podman=10.88.0.2", "this machine"},
		"on this machine, without bridges":  {"b 192.0.2.1", "this machine"},
		"on another machine, by own bridge": {"b 203.0.113.5 podman=10.88.0.0/16 | db podman=10.88.0.2", "[203.0.113.5]"},
	} {
		x := New(machine("192.0.2.1", "172.17.0.1", "10.88.0.1"), nil, nil)
		x.Feed("b")
		feed(x, "a socket bridge=172.17.0.0/16 | web bridge=172.17.0.2")
		feed(x, c.host)
		v, got := x.Vantage("b"), "this machine"
		switch {
		case v.Remote != nil:
			got = fmt.Sprint(v.Remote)
		case v.Elsewhere:
			got += ", elsewhere"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestBridgeIsMade has an engine make a bridge after the machine's addresses were read.
func TestBridgeIsMade(t *testing.T) {
	m := &lateComputer{computer: machine("192.0.2.1"), next: ips("192.0.2.1", "172.17.0.1")}
	x := New(m, nil, nil)
	feed(x, "b 203.0.113.5 bridge=172.17.0.0/16 | web bridge=172.17.0.2")
	feed(x, "a socket bridge=172.17.0.0/16")
	if got := who(t, x, "127.0.0.1"); got != "host a" || m.reading.Load() != 0 {
		t.Errorf("without a bridge: %s, after %d readings", got, m.reading.Load())
	}
	feed(x, "a socket bridge=172.17.0.0/16 | web bridge=172.17.0.2")
	if got := who(t, x, "127.0.0.1"); got != "host a" || m.reading.Load() != 1 {
		t.Errorf("with a bridge: %s, after %d readings", got, m.reading.Load())
	}
}

// lateComputer has other addresses when they are read anew.
type lateComputer struct {
	*computer
	next []netip.Addr
}

func (m *lateComputer) Forget() {
	m.computer.Forget()
	m.addrs = m.next
}
