package engine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// TestReach has who reaches a network's addresses and what its containers reach, for each kind of network as engines describe it.
func TestReach(t *testing.T) {
	const (
		two  = `"IPAM":{"Config":[{"Subnet":"172.20.0.0/16"},{"Subnet":"fd00:1::/64"}]}`
		mode = `"com.docker.network.bridge.gateway_mode_ipv`
		icc  = `"com.docker.network.bridge.enable_icc"`
		both = "172.20.0.1 fd00:1::1"
	)
	isolated := isolation{"plain": "", "true": "true", "one": "1", "off": "false", "strict": "strict"}
	for _, c := range []struct {
		name, text     string
		podman         isolation
		reach4, reach6 container.Reach
		out            container.Outbound
		gateways       string
	}{
		{"bridge", `"Driver":"bridge",` + two, nil, 0, 0, container.AnyWayOut, both},
		{"internal", `"Driver":"bridge","Internal":true,` + two, nil, 0, 0, container.NoWayOut, both},
		{"without icc", `"Driver":"bridge","Options":{` + icc + `:"false"},` + two, nil, container.Unshared, container.Unshared, 0, both},
		{"without icc, as Go writes it", `"Driver":"bridge","Options":{` + icc + `:"0"},` + two, nil, container.Unshared, container.Unshared, 0, both},
		{"with icc", `"Driver":"bridge","Options":{` + icc + `:"true"},` + two, nil, 0, 0, 0, both},
		{"icc is nonsense", `"Driver":"bridge","Options":{` + icc + `:"maybe"},` + two, nil, 0, 0, 0, both},
		{"docker_gwbridge without options", `"Name":"docker_gwbridge","Driver":"bridge",` + two, nil, container.Unshared, container.Unshared, 0, both},
		{"one family routed", `"Driver":"bridge","Options":{` + mode + `4":"routed",` + mode + `6":"nat"},` + two, nil, container.RoutedPorts, 0, 0, both},
		{"each in its way", `"Driver":"bridge","Options":{` + mode + `4":"nat-unprotected",` + mode + `6":"isolated"},` + two, nil, container.Routed, container.OffHost, 0, "172.20.0.1"},
		{"isolated", `"Driver":"bridge","Internal":true,"Options":{` + mode + `4":"isolated",` + mode + `6":"isolated"},` + two, nil, container.OffHost, container.OffHost, container.NoWayOut, ""},
		{"a mode to come", `"Driver":"bridge","Options":{` + mode + `4":"teleport"},` + two, nil, 0, 0, 0, both},
		{"macvlan", `"Driver":"macvlan",` + two, nil, container.OnLAN, container.OnLAN, 0, both},
		{"internal ipvlan", `"Driver":"ipvlan","Internal":true,` + two, nil, container.OffHost, container.OffHost, container.NoWayOut, ""},
		{"overlay", `"Driver":"overlay","Scope":"swarm",` + two, nil, container.OffHost, container.OffHost, 0, ""},
		{"internal overlay", `"Driver":"overlay","Scope":"swarm","Internal":true,` + two, nil, container.OffHost, container.OffHost, container.NoWayOut, ""},
		{"ingress", `"Driver":"overlay","Scope":"swarm","Ingress":true,` + two, nil, container.OffHost | container.Unshared, container.OffHost | container.Unshared, 0, ""},
		{"ingress alone", `"Ingress":true`, nil, container.OffHost | container.Unshared, container.OffHost | container.Unshared, 0, ""},
		{"options of other types", `"Driver":"bridge","Options":{` + icc + `:false,` + mode + `4":4},` + two, nil, 0, 0, 0, both},

		{"Podman's", `"Id":"plain","Driver":"bridge",` + two, isolated, container.Forwarded, container.Forwarded, container.AnyWayOut, both},
		{"Podman's, isolated", `"Id":"true","Driver":"bridge",` + two, isolated, container.Forwarded | container.Apart, container.Forwarded | container.Apart, container.ApartOut, both},
		{"Podman's, isolated by 1", `"Id":"one","Driver":"bridge",` + two, isolated, container.Forwarded | container.Apart, container.Forwarded | container.Apart, container.ApartOut, both},
		{"Podman's, not isolated", `"Id":"off","Driver":"bridge",` + two, isolated, container.Forwarded, container.Forwarded, container.AnyWayOut, both},
		{"Podman's, strictly isolated", `"Id":"strict","Driver":"bridge",` + two, isolated, 0, 0, container.NoWayOut, both},
		{"Podman's, internal", `"Id":"true","Driver":"bridge","Internal":true,` + two, isolated, 0, 0, container.NoWayOut, both},
		{"Podman's, unknown", `"Id":"new","Driver":"bridge",` + two, isolated, container.Forwarded | container.Apart, container.Forwarded | container.Apart, container.ApartOut, both},
		{"Podman's default, unknown", `"Id":"new","Name":"bridge","Driver":"bridge",` + two, isolation{}, container.Forwarded, container.Forwarded, container.AnyWayOut, both},
		{"Podman's macvlan", `"Id":"plain","Driver":"macvlan",` + two, isolated, container.OnLAN, container.OnLAN, 0, both},
		{"Podman's without gateway", `"Id":"plain","Driver":"bridge","Internal":true,"IPAM":{"Config":[{"Subnet":"10.89.13.0/24","Gateway":"<nil>"}]}`, isolated, container.OffHost, 0, container.NoWayOut, ""},
	} {
		var l listedNetwork
		if err := json.Unmarshal([]byte("{"+c.text+"}"), &l); err != nil && misfit(err) == nil {
			t.Fatal(err)
		}
		n := l.facts(c.podman)
		if gateways := strings.Trim(fmt.Sprint(n.Gateways), "[]"); n.Reach4 != c.reach4 || n.Reach6 != c.reach6 || n.Outbound != c.out || gateways != c.gateways {
			t.Errorf("%s: reach %b %b, out %d, gateways %s, want %b %b, %d, %s", c.name, n.Reach4, n.Reach6, n.Outbound, gateways, c.reach4, c.reach6, c.out, c.gateways)
		}
	}
}

// TestPodmanIsolation reads the option from Podman's own list, or does without and says so.
func TestPodmanIsolation(t *testing.T) {
	e := enginetest.New(t, enginetest.WithFlavour(enginetest.Podman))
	e.AddNetwork("api")
	e.MakeNetwork(enginetest.NetworkSpec{Name: "cli", Options: map[string]string{}})
	e.MakeNetwork(enginetest.NetworkSpec{Name: "strict", Options: map[string]string{"isolate": "strict"}})
	reaches := func(bridge, api, cli, strict container.Reach) func(*recorder) bool {
		return func(r *recorder) bool {
			for name, want := range map[string]container.Reach{"bridge": bridge, "api": api, "cli": cli, "strict": strict} {
				if n := r.network(name); n == nil || n.Reach4 != want {
					return false
				}
			}
			return true
		}
	}
	apart := container.Forwarded | container.Apart
	_, r := watch(t, e, 20*time.Millisecond)
	synced(t, r)
	r.wait(t, "options", func() bool { return reaches(container.Forwarded, apart, container.Forwarded, 0)(r) })
	if len(r.unreadable) > 0 {
		t.Error(r.unreadable)
	}
	for fault, f := range map[string]func(){
		"forbidden":  func() { e.FailCalls("libpod", -1, 403) },
		"misshapen":  func() { e.RawAnswer("libpod", []byte(`{"name":"api"}`)) },
		"odd fields": func() { e.RawAnswer("libpod", []byte(`[{"id":7,"options":{"isolate":{}}},null,3]`)) },
	} {
		f()
		r.wait(t, fault, func() bool { return reaches(container.Forwarded, apart, apart, apart)(r) })
		e.ClearFaults()
		r.wait(t, "options again", func() bool { return reaches(container.Forwarded, apart, container.Forwarded, 0)(r) })
	}
	r.note(func() {
		if !strings.Contains(strings.Join(r.unreadable, "\n"), "/libpod/networks/json: ") {
			t.Errorf("nothing is said of the faults: %q", r.unreadable)
		}
		if len(r.errors) > 0 {
			t.Errorf("they cost the connection: %v", r.errors)
		}
	})
	for _, f := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28} {
		e := enginetest.New(t, enginetest.WithFlavour(f))
		_, r := watch(t, e, time.Hour)
		synced(t, r)
		if n := e.Calls("libpod") + e.Calls("unknown"); n > 0 {
			t.Errorf("%s is asked for Podman's list", f)
		}
	}
}

// TestOpenPorts has ports that are published with and without a port of the host's.
func TestOpenPorts(t *testing.T) {
	var m portMap
	text := `{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":""},{"HostIp":"::","HostPort":"32768"}],"81/tcp":[{"HostIp":"0.0.0.0","HostPort":"0"}],
		"82/tcp":null,"83/tcp":[],"84/tcp":[{"HostIp":"127.0.0.1","HostPort":"84"}],"85/tcp":7,"86/udp":[{"HostIp":"","HostPort":"86"}]}`
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	open := map[uint16]bool{80: true, 81: true, 84: true, 86: true}
	published := map[uint16]string{80: "[[::]:32768]", 86: "[0.0.0.0:86]"}
	ports := fromPorts(nil, m)
	if len(ports) != 7 {
		t.Errorf("%d ports", len(ports))
	}
	for _, p := range ports {
		if want := published[p.Number]; p.Open != open[p.Number] || fmt.Sprint(p.Published) != want && (want != "" || len(p.Published) > 0) {
			t.Errorf("port %d: open %v at %v", p.Number, p.Open, p.Published)
		}
	}
}

// TestConfigOnly leaves out what other networks are made from. Its subnet and gateway are the LAN's.
func TestConfigOnly(t *testing.T) {
	t.Parallel()
	networks, err := answering(t, []byte(`[
		{"Id":"1","Name":"lan-config","Driver":"null","Scope":"local","ConfigOnly":true,"IPAM":{"Config":[{"Subnet":"192.0.2.0/24","Gateway":"192.0.2.1"}]}},
		{"Id":"2","Name":"lan","Driver":"macvlan","Scope":"swarm","ConfigFrom":{"Network":"lan-config"},"ConfigOnly":false,"IPAM":{"Config":[]}}
	]`)).networks(t.Context())
	if err != nil || len(networks) != 1 || networks[0].Name != "lan" || networks[0].Reach4 != container.OnLAN {
		t.Errorf("got %+v, %v", networks, err)
	}
}

func TestRoutedNetwork(t *testing.T) {
	e := enginetest.New(t, enginetest.WithFlavour(enginetest.Docker28))
	e.MakeNetwork(enginetest.NetworkSpec{Name: "net", Options: map[string]string{"com.docker.network.bridge.gateway_mode_ipv4": "routed"}})
	id := e.Run(enginetest.Spec{Networks: []enginetest.Attachment{{Network: "net"}}, Publish: []string{"8080:80"}, ExposedPorts: []string{"81/tcp"}})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	if n := r.network("net"); n.Reach4 != container.RoutedPorts || len(n.Gateways) != 1 || n.Gateways[0] != netip.MustParseAddr("172.18.0.1") {
		t.Errorf("%+v", n)
	}
	if ports := r.get(id).Ports; len(ports) != 2 || !ports[0].Open || len(ports[0].Published) > 0 || ports[1].Open {
		t.Errorf("%+v", ports)
	}
}
