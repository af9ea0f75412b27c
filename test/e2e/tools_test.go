package e2e

import (
	"testing"

	"github.com/miekg/dns"
)

// Names from Traefik's labels are answered with the proxy's addresses, each asker with those that it reaches, and never with the
// container's; while there is no proxy with none. Other tools' names are the container's own.
func TestOtherTools(t *testing.T) {
	t.Parallel()
	address := loopback(freePort(t, "127.0.0.1"))
	front, back, other := machine.servedNetwork(t), machine.network(t), machine.network(t)
	at := machine.gateway(t, front).String()
	lan := newLAN(t)
	proxy, app := "proxy-"+suffix(), "app-"+suffix()
	s := serve(t, config{IP: at, Port: 53, Also: lan.Host.String(), Body: "docker " + zones + " test. {\npublish\nstatus " + address + "\nlabels traefik orbstack\nproxy " + proxy + "\n}\ncache"})
	site, own := app+".site.test.", app+".own.test."
	a := machine.run(t, "--name", app, "--network", back, "-p", "80",
		"--label", "traefik.http.routers.app.rule=Host(`"+app+".site.test`) && PathPrefix(`/`) || HostRegexp(`.+`)", "--label", "dev.orbstack.domains="+app+".own.test")
	addr := machine.addr(t, a)
	s.soon(own, dns.TypeA, addr)
	s.check(site, dns.TypeA, nodata)
	if err := tell(t, nil, "explain", site, "--status", address).differs(1, "none runs that is called "+proxy, "start the proxy"); err != nil {
		t.Error(err)
	}

	p := machine.run(t, "--name", proxy, "--network", front, "-p", "80")
	machine.do(t, "network", "connect", back, p)
	onFront, onBack := onNetwork(t, p, front), onNetwork(t, p, back)
	s.soon(site, dns.TypeA, onFront, onBack)
	s.check(own, dns.TypeA, addr)
	s.check(reverse(t, addr), dns.TypePTR, app+".docker.")
	gateway := machine.gateway(t, other).String()
	if podman { // which leads to front, that is made by its own API, and keeps apart what Docker's has made
		gateway = onFront
	}
	for network, want := range map[string]string{front: onFront, back: onBack, other: gateway} {
		if got := s.from(t, machine.run(t, "--network", network), site, dns.TypeA); got != want {
			t.Errorf("on %s: %s, want %s", network, got, want)
		}
	}
	if got := lan.ask(t, s, site, dns.TypeA); got != lan.Host.String() {
		t.Errorf("elsewhere: %s, want %s", got, lan.Host)
	}
	if err := tell(t, nil, "explain", site, "--status", address).differs(0, "Container "+proxy+" is a front proxy for it, and answers", "and leaves the answer to its proxy", onFront); err != nil {
		t.Error(err)
	}
	if err := tell(t, nil, "containers", app, "--status", address).differs(0, "regular expression"); err != nil {
		t.Error(err)
	}

	machine.do(t, "network", "disconnect", back, p)
	s.soon(site, dns.TypeA, onFront)
	machine.do(t, "rm", "-f", p)
	s.soon(site, dns.TypeA, nodata)
}
