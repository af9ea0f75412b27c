package dockerdiscovery

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

func TestParseShare(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{"password": "secret\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	block := func(line string) string {
		return "docker docker. {\n endpoint unix:///a nas 192.0.2.1\n label_prefix org.x\n " + line + "\n}"
	}
	for line, want := range map[string]share.Config{
		"share etcd http://a:2379 http://b:2379": {URLs: "http://a:2379 http://b:2379", Path: "/dockerdiscovery", Lease: 15 * time.Second},
		"share etcd https://a:2379 {\n path x/y/\n lease 5s\n credentials u " + dir + "/password\n labels a. b.\n labels c.\n}": {
			URLs: "https://a:2379", Path: "/x/y", Lease: 5 * time.Second, TLS: share.TLS{On: true}, User: "u", Password: dir + "/password", Labels: "a. b. c.",
		},
	} {
		cfg, err := parseText(block(line), ".")
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		want.Host, want.Addresses = "nas", "192.0.2.1"
		if cfg.share == nil || cfg.share.Config != want || cfg.share.labelPrefix != "org.x" {
			t.Errorf("%s: %+v, want %+v", line, cfg.share, want)
		}
	}
	for text, want := range map[string][]string{
		block("share consul http://a:1"):                                      {":4", "'consul' is no store", shareForm},
		block("share etcd"):                                                   {":4", "share has 1 arguments", shareForm},
		block("share etcd a:2379"):                                            {":4", "'a:2379' is no URL of etcd's", shareForm},
		block("share etcd http://u:p@a:2379"):                                 {":4", "is no URL of etcd's"},
		block("share etcd http://a:1 https://b:1"):                            {":4", "'https://b:1' is https, and the URL before it http"},
		block("share etcd http://a:1 http://a:1"):                             {":4", "'http://a:1' stands there twice"},
		block("share etcd http://a:1\n share etcd http://b:1"):                {":5", "share stands in line 4 already"},
		block("share etcd http://a:1 {\n path /\n}"):                          {":5", "'/' is no path", pathForm},
		block("share etcd http://a:1 {\n path a//b\n}"):                       {":5", "'a//b' is no path"},
		block("share etcd http://a:1 {\n lease 1s\n}"):                        {":5", "'1s' is no such time", "from 5s to 10m0s"},
		block("share etcd http://a:1 {\n lease 5500ms\n}"):                    {":5", "'5500ms' is no such time", "whole seconds"},
		block("share etcd http://a:1 {\n tls\n}"):                             {":5", "tls is for URLs https://HOST:PORT"},
		block("share etcd https://a:1 {\n tls /no/such.pem\n}"):               {":5", "/no/such.pem"},
		block("share etcd http://a:1 {\n credentials u\n}"):                   {":5", "credentials has 1 arguments", "credentials USER FILE"},
		block("share etcd http://a:1 {\n credentials u " + dir + "/x\n}"):     {":5", "no such file"},
		block("share etcd http://a:1 {\n credentials u " + dir + "/empty\n}"): {":5", "has no password in its first line"},
		block("share etcd http://a:1 {\n credentials u " + dir + "\n}"):       {":5", "is a directory"},
		block("share etcd http://a:1 {\n ttl 5\n}"):                           {":5", "unknown property 'ttl': want one of credentials, labels, lease, path, tls"},
		"docker docker. {\n share etcd http://a:1\n}":                         {"Testfile:2", "tells of the host of the block's first endpoint by its NAME", "endpoint unix:///var/run/docker.sock nas"},
		"docker docker. {\n endpoint unix:///a\n share etcd http://a:1\n}":    {"Testfile:3", "by its NAME"},
	} {
		parseFails(t, text, want)
	}
}

// TestSharesAlike checks that a host's server blocks tell one thing.
func TestSharesAlike(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"endpoint unix:///a nas\n share etcd http://a:1", "endpoint unix:///a nas\n share etcd http://a:1", ""},
		{"endpoint unix:///a nas\n share etcd http://a:1", "endpoint unix:///b pi\n share etcd http://b:1", ""},
		{"endpoint unix:///a nas\n share etcd http://a:1", "endpoint unix:///a nas\n share etcd http://b:1", "Testfile:3: another share tells of nas at Testfile:3; want them alike"},
	} {
		i := &instance{}
		var err error
		for _, lines := range []string{c.first, c.second} {
			cfg, parseErr := parseText("docker docker. {\n "+lines+"\n}", ".")
			if parseErr != nil {
				t.Fatal(parseErr)
			}
			err = i.add(&cfg)
		}
		if got := errText(err); got != c.want {
			t.Errorf("%q and %q: %s, want %s", c.first, c.second, got, c.want)
		}
	}
	i := &instance{}
	for _, line := range []string{"label_prefix org.y", "label_prefix org.x", "labels orbstack caddy", "labels kevinjqiu {\n key q.host\n }"} {
		cfg, err := parseText("docker docker. {\n endpoint unix:///a nas\n "+line+"\n share etcd http://a:1 {\n labels z.\n }\n}", ".")
		if err != nil {
			t.Fatal(err)
		}
		if err := i.add(&cfg); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := i.shareConfig(i.shares[0]).Labels, "=caddy =caddy_* =coredns.dockerdiscovery.host =dev.orbstack.domains =q.host com.docker.compose. com.docker.stack. com.docker.swarm. coredns.dockerdiscovery. org.x. org.y. z."; got != want {
		t.Errorf("told are the labels %s, want %s", got, want)
	}
}

// TestShareMetrics serves without an etcd, and checks that the metrics of the README exist.
func TestShareMetrics(t *testing.T) {
	e := enginetest.New(t)
	inprocess.Serve(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s nas\n share etcd http://127.0.0.1:1\n }\n}", freePort(t), e.Host()))
	sharing.Written(1, nil)
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{"connected": 0, "told": 0, "skipped_keys": 0, "writes_total": 1} {
		if got, there := values["coredns_docker_share_"+name]; !there || got < want {
			t.Errorf("share_%s is %v (%v), want %v", name, got, there, want)
		}
		if !strings.Contains(readFile(t, "README.md"), "`coredns_docker_share_"+name) {
			t.Errorf("README.md lacks share_%s", name)
		}
	}
}

// TestShareAnswers has two hosts' server blocks tell each other through etcd, and asks each for the other's containers.
func TestShareAnswers(t *testing.T) {
	etcd := rig.NewEtcd(t, 1)
	nas, pi := publishing(t, "web"), publishing(t, "web")
	block := func(e *enginetest.Engine, name, addr string) string {
		return fmt.Sprintf("%s:%s {\n docker docker {\n ttl 60\n endpoint %s %s %s\n publish\n share etcd %s\n }\n}\n", "docker", freePort(t), e.Host(), name, addr, etcd.URLs())
	}
	s := inprocess.Serve(t, block(nas, "nas", "192.0.2.1")+block(pi, "pi", "192.0.2.2"))
	blocks := map[string]*Docker{}
	for _, d := range running() {
		blocks[d.hosts[0].name] = d
	}
	const lan = "198.51.100.7"
	answers := func(host, name, want string) {
		t.Helper()
		eventually(t, host+" answers "+want+" for "+name, func() bool { return dig(t, blocks[host], lan, name, dns.TypeA) == want })
	}
	answers("nas", "web.pi.docker.", "192.0.2.2")
	answers("pi", "web.nas.docker.", "192.0.2.1")
	answers("nas", "pi.docker.", "192.0.2.2")
	answers("pi", "web.docker.", "192.0.2.1 192.0.2.2")
	if got := dig(t, blocks["nas"], lan, "web.nas.docker.", dns.TypeA); got != "192.0.2.1" {
		t.Errorf("nas answers %s for its own", got)
	}
	var later []time.Duration
	for i := range 20 {
		name := fmt.Sprint("start", i)
		began := time.Now()
		nas.Run(enginetest.Spec{Name: name, Publish: []string{fmt.Sprint(8000+i, ":80/tcp")}})
		answers("nas", name+".docker.", "192.0.2.1")
		own := time.Since(began)
		answers("pi", name+".docker.", "192.0.2.1")
		later = append(later, time.Since(began)-own)
	}
	slices.Sort(later)
	t.Logf("pi answers for a container of nas after nas itself: median %v, p95 %v, %v at most", later[10], later[19], later[19])
	shown := blocks["pi"].Hosts()
	if len(shown) != 2 || shown[1].ID != "nas" || shown[1].State != "current" || shown[1].Containers != 21 || shown[1].Endpoint != "etcd /dockerdiscovery/nas/" {
		t.Errorf("/hosts has %+v", shown)
	}
	ttl := func(name string) uint32 {
		t.Helper()
		rec := dnstest.NewRecorder(&test.ResponseWriter{RemoteIP: lan})
		blocks["pi"].ServeDNS(t.Context(), rec, new(dns.Msg).SetQuestion(name, dns.TypeA))
		if rec.Msg == nil || len(rec.Msg.Answer) == 0 {
			t.Fatalf("no answer for %s", name)
		}
		return rec.Msg.Answer[0].Header().Ttl
	}
	if ttl("web.nas.docker.") != 60 || ttl("web.pi.docker.") != 60 {
		t.Error("while all is well the TTL is not the zone's")
	}
	etcd.Members[0].End()
	eventually(t, "pi counts nas as away", func() bool { return blocks["pi"].Hosts()[1].State == "away" })
	answers("pi", "web.nas.docker.", "192.0.2.1") // what was known last
	if others, own := ttl("web.nas.docker."), ttl("web.pi.docker."); others > 5 || own != 60 {
		t.Errorf("while etcd is away the TTL is %d for another host's container, and %d for its own", others, own)
	}
	if got := blocks["pi"].Info().Warnings; len(got) == 0 || !strings.Contains(got[len(got)-1], "Sharing through etcd") {
		t.Errorf("while etcd is away there is no warning: %q", got)
	}
	etcd.Start(t)
	eventually(t, "pi has nas back", func() bool { return blocks["pi"].Hosts()[1].State == "current" })
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// TestShareStarts has a server start while etcd is away: nobody's name is denied before etcd has told who there is, or the time of startup is
// over, which a reload does not begin anew; and its own host is answered for all the while.
func TestShareStarts(t *testing.T) {
	etcd := rig.NewEtcd(t, 1)
	etcd.Members[0].End()
	nas, pi := publishing(t, "web"), publishing(t, "web")
	ports := map[*enginetest.Engine]string{nas: freePort(t), pi: freePort(t)}
	block := func(e *enginetest.Engine, host string, ttl int, startup string) string {
		return fmt.Sprintf("docker:%s {\n docker {\n endpoint %s %s\n startup %s\n ttl %d\n publish\n share etcd %s\n }\n}\n", ports[e], e.Host(), host, startup, ttl, etcd.URLs())
	}
	s := inprocess.Serve(t, block(nas, "nas 192.0.2.1", 5, "1h")+block(pi, "pi 192.0.2.2", 5, "1s"))
	const lan = "198.51.100.7"
	at := func(host string) *Docker {
		for _, d := range running() {
			if d.hosts[0].name == host {
				return d
			}
		}
		t.Fatalf("no block has %s", host)
		return nil
	}
	expect(t, at("nas"), lan, "web.nas.docker.", "192.0.2.1")
	expect(t, at("nas"), lan, "web.pi.docker.", "SERVFAIL, <nil>")
	if at("nas").Ready() {
		t.Error("it is ready before it knows of others")
	}
	x := explain(t, at("nas"), status.Question{Name: "web.pi.docker.", Type: dns.TypeA, From: lan})
	if x.Cause != status.NotReady || !strings.Contains(x.Short(), "etcd has not told of the other hosts yet") || !strings.Contains(x.Cure(), "etcd is off") {
		t.Errorf("the reason is %s: %s; %s", x.Cause, x.Short(), x.Cure())
	}
	eventually(t, "pi waits no longer", func() bool { return dig(t, at("pi"), lan, "web.nas.docker.", dns.TypeA) == "NXDOMAIN" })
	if err := s.Reload(block(nas, "nas 192.0.2.1", 6, "1h") + block(pi, "pi 192.0.2.2", 6, "1s")); err != nil {
		t.Fatal(err)
	}
	expect(t, at("nas"), lan, "web.pi.docker.", "SERVFAIL, <nil>")
	expect(t, at("pi"), lan, "web.nas.docker.", "NXDOMAIN")
	etcd.Start(t)
	for host, asks := range map[string]string{"nas": "pi", "pi": "nas"} {
		eventually(t, host+" knows of "+asks, func() bool {
			return strings.HasPrefix(dig(t, at(host), lan, "web."+asks+".docker.", dns.TypeA), "192.0.2.")
		})
		eventually(t, host+" knows of all", func() bool {
			return dig(t, at(host), lan, "nobody.docker.", dns.TypeA) == "NXDOMAIN" && at(host).Ready()
		})
	}
}

// TestShareBesideEndpoints has a block watch an engine itself whose host tells of itself too, as one does that asks a Swarm's manager. What the
// endpoint says counts, and stays when the host has left etcd.
func TestShareBesideEndpoints(t *testing.T) {
	etcd := rig.NewEtcd(t, 1)
	nas, pi, box := publishing(t, "web"), publishing(t, "web"), publishing(t, "web")
	block := func(e *enginetest.Engine, name, addr, more string) string {
		return fmt.Sprintf("docker:%s {\n docker docker {\n endpoint %s %s %s\n %s\n publish\n share etcd %s\n }\n}\n", freePort(t), e.Host(), name, addr, more, etcd.URLs())
	}
	beside := "endpoint " + nas.Host() + " nas 192.0.2.9"
	inprocess.Serve(t, block(pi, "pi", "192.0.2.2", beside)+block(box, "box", "192.0.2.3", ""))
	var d *Docker
	for _, o := range running() {
		if len(o.hosts) == 2 {
			d = o
		}
	}
	const lan = "198.51.100.7"
	answers := func(name, want string) {
		t.Helper()
		eventually(t, want+" for "+name, func() bool { return dig(t, d, lan, name, dns.TypeA) == want })
	}
	answers("web.box.docker.", "192.0.2.3")
	answers("web.nas.docker.", "192.0.2.9")
	other := share.Config{URLs: etcd.URLs(), Path: defaultSharePath, Lease: defaultLease, Host: "nas", Addresses: "192.0.2.1"}
	w := engine.Watch(d.hosts[1].Endpoint, observed)
	t.Cleanup(w.Release)
	m := share.Join(other, w, sharing, nil)
	heard := func(there bool) func() bool {
		return func() bool {
			return there == slices.ContainsFunc(d.fleet.member.State().Others, func(o share.Other) bool { return o.Host == "nas" && o.Here })
		}
	}
	eventually(t, "etcd tells of nas", heard(true))
	answers("web.nas.docker.", "192.0.2.9")
	all := strings.Fields(dig(t, d, lan, "web.docker.", dns.TypeA))
	slices.Sort(all)
	if got := strings.Join(all, " "); got != "192.0.2.2 192.0.2.3 192.0.2.9" {
		t.Errorf("web.docker. is at %s", got)
	}
	var shown []string
	for _, h := range d.Hosts() {
		shown = append(shown, string(h.ID))
	}
	if got := strings.Join(shown, " "); got != "pi nas box" {
		t.Errorf("/hosts has %s", got)
	}
	m.Leave()
	eventually(t, "nas leaves etcd", heard(false))
	answers("web.nas.docker.", "192.0.2.9")
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimSpace(err.Error())
}
