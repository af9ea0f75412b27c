package e2e

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// The first release is commit e5dcd15, the last one before CHANGELOG.md begins. What it answers is recorded by
//
//	git worktree add /tmp/first e5dcd15 && /tmp/first/build.sh /tmp/first/coredns
//	go test ./test/e2e -run TestFirstRelease -e2e.first /tmp/first/coredns
var first = flag.String("e2e.first", "", "the first release's coredns, of which TestFirstRelease records the answers")

const (
	firstAnswers     = "testdata/firstrelease.txt"
	firstDifferences = "testdata/firstrelease-differences.txt"
)

// oldCorefiles are docker blocks that the first release could read, by a name for each.
var oldCorefiles = []struct{ name, block string }{
	{"default", "docker docker. 172.16.0.0/12"},
	{"publish", "docker docker. {\npublish 203.0.113.10\n}"},
	{"root", "docker ."},
	{"chosen", "docker docker. {\nnames container compose template\ntemplate \"{{.Service}}-{{.Number}}.{{.Project}}\"\ntemplate \"{{.Label `com.example.role`}}\"\n" +
		"network shop_front\nttl 30 10\nhealth require\nhold 1s\nresync 10m\n}"},
	{"apart", "docker docker. {\nopt_in\nisolate\nlabel_prefix com.example\n}"},
	{"beside", "docker docker. example.org {\nfallthrough\n}\nhosts {\n192.0.2.99 other.docker other.example.org\n}"},
}

// oldAskers are the addresses from which the questions come, of the server's computer or of another one.
var oldAskers = []struct{ name, addr string }{
	{"host", "127.0.0.1"},
	{"web", "172.17.0.2"},
	{"shop-web-1", "172.20.0.2"},
	{"blog-db-1", "172.22.0.2"},
	{"lan", "192.0.2.77"},
}

// oldContainers runs what the questions are about, on networks of a fake engine, and returns the names by the IDs.
func oldContainers(e *enginetest.Engine) map[string]string {
	e.AddNetwork("shop_front", "172.20.0.0/16")
	e.AddNetwork("shop_back", "172.21.0.0/16", "fd00:21::/64")
	e.AddNetwork("blog_default", "172.22.0.0/16")
	e.MakeNetwork(enginetest.NetworkSpec{Name: "street", Driver: "macvlan", Subnets: []string{"192.0.2.254/24"}})
	compose := func(project, service, number string, more ...string) map[string]string {
		labels := map[string]string{
			"com.docker.compose.project": project, "com.docker.compose.service": service,
			"com.docker.compose.container-number": number, "com.docker.compose.oneoff": "False",
		}
		for i := 0; i < len(more); i += 2 {
			labels[more[i]] = more[i+1]
		}
		return labels
	}
	on := func(network string, aliases ...string) enginetest.Attachment {
		return enginetest.Attachment{Network: network, Aliases: aliases}
	}
	const ours = "coredns.dockerdiscovery."
	ids := map[string]string{}
	for _, s := range []enginetest.Spec{
		{Name: "web", ExposedPorts: []string{"80/tcp"}, Publish: []string{"8080:80/tcp"}},
		{Name: "my_app", Hostname: "app.lab", ExposedPorts: []string{"9200/tcp"}},
		{Name: "shop-web-1", Labels: compose("shop", "web", "1", ours+"host", "www, *.pages", "com.example.enable", "true"),
			Networks: []enginetest.Attachment{on("shop_front", "web"), on("shop_back", "web")}, ExposedPorts: []string{"80/tcp"}},
		{Name: "shop-web-2", Labels: compose("shop", "web", "2", ours+"ttl", "20"), Networks: []enginetest.Attachment{on("shop_front", "web")}, Health: "unhealthy"},
		{Name: "shop-db-1", Labels: compose("shop", "db", "1", "com.example.enable", "true", "com.example.host", "store"), Networks: []enginetest.Attachment{on("shop_back", "db", "postgres")}, ExposedPorts: []string{"5432/tcp"}},
		{Name: "blog-db-1", Labels: compose("blog", "db", "1"), Networks: []enginetest.Attachment{on("blog_default", "db")}},
		{Name: "blog-run-1", Labels: func() map[string]string {
			l := compose("blog", "db", "1")
			l["com.docker.compose.oneoff"] = "True"
			return l
		}(), Networks: []enginetest.Attachment{on("blog_default")}},
		{Name: "hostnet", NetworkMode: "host", ExposedPorts: []string{"8000/tcp"}},
		{Name: "sidecar", NetworkMode: "container:web"},
		{Name: "labelled", Networks: []enginetest.Attachment{on("shop_back"), on("blog_default")}, Labels: map[string]string{
			ours + "host": "one, two.docker, three.docker., four.example.org.", ours + "ttl": "60", ours + "network": "blog_default",
			ours + "records": "@ TXT \"version=3\"\n@ 30 CAA 0 issue \"ca.example.org\"\nsip CNAME web.docker.\nout CNAME www.example.net.\n_sip._udp SRV 1 2 5060 @",
		}},
		{Name: "off", Labels: map[string]string{ours + "enable": "false"}},
		{Name: "queue-7", Labels: map[string]string{"com.example.role": "queue", "com.example.enable": "true", "com.example.ttl": "7"}},
		{Name: "camera", Networks: []enginetest.Attachment{{Network: "street", IPv4: "192.0.2.50"}}},
		{Name: "named", Hostname: "nas", Domainname: "lab.docker"},
		{Name: "other-nas", Hostname: "nas"},
	} {
		ids[e.Run(s)] = s.Name
	}
	e.Stop(e.Run(enginetest.Spec{Name: "ended"}))
	return ids
}

// oldQuestions are asked of each server by each asker, as dig has them.
var oldQuestions = strings.Split(strings.TrimSpace(`
web.docker A
web.docker AAAA
web.docker TXT
WEB.Docker A
web A
web.example.org A
_http._tcp.web.docker SRV
my_app.docker A
my-app.docker A
app.lab.docker A
_9200._tcp.my_app.docker SRV
shop-web-1.docker A
shop-web-1.docker AAAA
web.shop.docker A
web.shop.docker AAAA
web.shop A
db.shop.docker A
db.shop.docker AAAA
db.blog.docker A
db.docker A
db A
postgres.docker A
postgres.shop_back.docker A
db.shop_back.docker A
db.blog_default A
_postgresql._tcp.db.shop.docker SRV
shop.docker A
www.docker A
any.pages.docker A
pages.docker A
blog-run-1.docker A
hostnet.docker A
_8000._tcp.hostnet.docker SRV
sidecar.docker A
labelled.docker A
labelled.docker AAAA
labelled.docker TXT
labelled.docker CAA
one.docker A
two.docker A
three.docker A
four.example.org A
sip.labelled.docker A
out.labelled.docker A
_sip._udp.labelled.docker SRV
off.docker A
queue.docker A
queue-7.docker A
web-1.shop.docker A
store.docker A
camera.docker A
nas.docker A
nas.lab.docker A
ended.docker A
nobody.docker A
nobody.example.org A
other.docker A
other.example.org A
docker SOA
docker NS
docker A
ns.dns.docker A
localhost A
2.0.17.172.in-addr.arpa PTR
2.0.20.172.in-addr.arpa PTR
2.0.22.172.in-addr.arpa PTR
99.0.17.172.in-addr.arpa PTR
{web}.docker A
{shop-db-1}.docker A
`), "\n")

// An old Corefile and old labels give the same answers as the first release, but for what CHANGELOG.md lists.
func TestFirstRelease(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: can't make network namespaces from which to ask")
	}
	// The computers: the server's, which has the networks' gateways, and one that has the askers' addresses.
	street := theRun.NewSegment(t)
	home, away := theRun.Netns("home-"+suffix()), theRun.Netns("away-"+suffix())
	for _, netns := range []string{home, away} {
		t.Cleanup(func() { rig.RemoveNetns(netns) })
		if out, err := rig.Output(exec.Command("ip", "netns", "add", netns)); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	street.Join(t, home, "172.17.0.1/16", "172.20.0.1/16", "172.21.0.1/16", "172.22.0.1/16", "192.0.2.1/24")
	street.Join(t, away, "172.17.0.2/16", "172.20.0.2/16", "172.22.0.2/16", "192.0.2.77/24")

	engine := enginetest.New(t)
	ids := oldContainers(engine)
	program := binary
	if *first != "" {
		program = *first
	}
	var got []string
	for _, corefile := range oldCorefiles {
		got = append(got, oldAnswers(t, program, engine, corefile.name, corefile.block, home, away, ids)...)
	}
	if *first != "" {
		if err := os.WriteFile(firstAnswers, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("recorded %d answers of %s", len(got), *first)
		return
	}
	compareWithFirst(t, got)
}

// oldAnswers are those of one Corefile, a line each: the Corefile's name, the asker's, the question, and after an arrow the answer.
func oldAnswers(t *testing.T, program string, engine *enginetest.Engine, name, block, home, away string, ids map[string]string) (lines []string) {
	t.Helper()
	const addr = "192.0.2.1:53"
	if !strings.Contains(block, "{\n") {
		block += " {\n}"
	}
	body := strings.Replace(block, "{\n", "{\nendpoint "+engine.Host()+"\n", 1)
	server, err := rig.Serve(rig.Config{Binary: program, Dir: t.TempDir(), Text: ".:53 {\n" + body + "\n}\n", Via: []string{"ip", "netns", "exec", home}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	ask := func(asker, addrOf, name, qtype string) (m *dns.Msg, err error) {
		netns, to := away, addr
		if asker == "host" {
			netns, to = home, "127.0.0.1:53"
		}
		err = rig.Within(rig.NetnsPath(netns), func() error {
			a := &rig.Asker{Server: to, From: &net.UDPAddr{IP: net.ParseIP(addrOf)}}
			defer a.Close()
			m, err = a.Ask(dns.Fqdn(name), dns.StringToType[qtype])
			return err
		})
		return m, err
	}
	// All containers are known at once.
	known := cmp.Or(map[string]string{"root": "nas."}[name], "shop-web-1.docker.")
	if err := server.Await(patience, func() error {
		m, err := ask("host", "127.0.0.1", known, "A")
		if err == nil && len(m.Answer) == 0 {
			err = fmt.Errorf("%s has no address yet", known)
		}
		return err
	}); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, server.Log.String())
	}
	for _, asker := range oldAskers {
		for _, question := range oldQuestions {
			owner, qtype, _ := strings.Cut(question, " ")
			for id, container := range ids {
				owner = strings.ReplaceAll(owner, "{"+container+"}", id[:12])
			}
			m, err := ask(asker.name, asker.addr, owner, qtype)
			if err != nil {
				t.Fatalf("%s, %s: %s: %v", name, asker.name, question, err)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s -> %s", name, asker.name, question, oldAnswer(m, ids)))
		}
	}
	return lines
}

// oldAnswer is an answer in a line: the response code, the records without their owners if these are the question's, and
// the negative TTL. The SOA's serial depends on the clock.
func oldAnswer(m *dns.Msg, ids map[string]string) string {
	parts := []string{dns.RcodeToString[m.Rcode]}
	var records []string
	for _, rr := range m.Answer {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Serial = 0
		}
		text := strings.Join(strings.Fields(rr.String()), " ")
		records = append(records, strings.TrimPrefix(text, m.Question[0].Name+" "))
	}
	slices.Sort(records)
	parts = append(parts, records...)
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			parts = append(parts, fmt.Sprintf("SOA %s %d", soa.Hdr.Name, min(soa.Hdr.Ttl, soa.Minttl)))
		}
	}
	answer := strings.Join(parts, "; ")
	for id, container := range ids {
		answer = strings.ReplaceAll(answer, id[:12], "{"+container+"}")
	}
	return answer
}

// compareWithFirst holds the answers against the first release's. Each that differs stands in a list, under a passage of the
// changelog that says so, and nothing stands there that does not differ.
func compareWithFirst(t *testing.T, got []string) {
	t.Helper()
	was := readLines(t, firstAnswers)
	changelog, err := os.ReadFile(filepath.Join("..", "..", "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed, passage := map[string]bool{}, ""
	for _, line := range readLines(t, firstDifferences) {
		if said, ok := strings.CutPrefix(line, "# "); ok {
			if passage = said; !strings.Contains(string(changelog), passage) {
				t.Errorf("%s: CHANGELOG.md does not say %q", firstDifferences, passage)
			}
			continue
		}
		if passage == "" {
			t.Errorf("%s: %q stands under no passage of the changelog", firstDifferences, line)
		}
		listed[line] = true
	}
	if len(was) != len(got) {
		t.Fatalf("%d answers, and the first release's are %d", len(got), len(was))
	}
	different := 0
	for i := range got {
		if got[i] == was[i] {
			continue
		}
		if different++; !listed[got[i]] {
			t.Errorf("differs from the first release, and is not listed:\n  was %s\n  is  %s", was[i], got[i])
		}
		delete(listed, got[i])
	}
	for line := range listed {
		t.Errorf("%s lists what is not answered so, or is as in the first release: %s", firstDifferences, line)
	}
	t.Logf("%d answers are as in the first release, %d differ as the changelog says", len(got)-different, different)
}

// readLines returns a file's lines, without empty ones.
func readLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if s.Text() != "" {
			lines = append(lines, s.Text())
		}
	}
	return lines
}
