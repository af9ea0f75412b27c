package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// explainer is a server that explains its answers.
type explainer struct {
	*server
	status string // where
}

// explaining launches a server with the properties, which explains.
func explaining(t *testing.T, properties string) explainer {
	t.Helper()
	status := loopback(freePort(t, "127.0.0.1"))
	return explainer{launch(t, config{Body: "docker docker. {\nstatus " + status + "\n" + properties + "\n}"}), status}
}

// missing is a situation in which somebody misses a name.
type missing struct {
	what, name string
	from       string // who asks: nobody else than the host is seen by DNS here
	qtype      string // A if empty
	cause      string // as programs read it
	says       string // in the summary
	ede        string // what the host is told by extended errors; cause stands for 0 with the summary
}

// cause has the extended error that says it, and needs no other.
const cause = "0 (cause)"

// explanation is what programs read of one.
type explanation struct {
	Cause, Summary string
}

// explained asks over HTTP.
func (s explainer) explained(m *missing) (is explanation, err error) {
	at := url.URL{Scheme: "http", Host: s.status, Path: "/explain/" + m.name, RawQuery: url.Values{"from": {m.from}, "type": {cmp.Or(m.qtype, "A")}, "format": {"json"}}.Encode()}
	resp, err := http.Get(at.String())
	if err != nil {
		return is, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return is, err
	}
	if resp.StatusCode != http.StatusOK {
		return is, fmt.Errorf("%s: %s: %s", at.String(), resp.Status, text)
	}
	err = json.Unmarshal(text, &is)
	is.Summary = timeless(is.Summary)
	return is, err
}

var duration = regexp.MustCompile(`a moment\b|\b[0-9.]+(ms|s|m|h)([0-9.]+(s|m))*\b`)

// timeless is the text without how long something is so or ago, which is another time at each asking.
func timeless(text string) string { return duration.ReplaceAllString(text, "a while") }

// extendedErrors returns what the host is told of the name, with the summary in short as "cause".
func (s explainer) extendedErrors(name, summary string) (string, error) {
	answer, err := rig.AskEDNS(s.Addr, name, dns.TypeA)
	if err != nil || answer.IsEdns0() == nil {
		return "", err
	}
	var told []string
	for _, o := range answer.IsEdns0().Option {
		ede, ok := o.(*dns.EDNS0_EDE)
		if !ok {
			continue
		}
		text := fmt.Sprint(ede.InfoCode)
		switch begin := timeless(strings.TrimRight(ede.ExtraText, ".…")); {
		case begin == "":
		case strings.HasPrefix(summary, begin):
			text += " (cause)"
		default:
			text += " (" + ede.ExtraText + ")"
		}
		told = append(told, text)
	}
	return strings.Join(told, " "), nil
}

// explains checks that each of those who may be asked names the cause: /explain, the terminal and, as far as it does, DNS.
func (s explainer) explains(t *testing.T, m missing) {
	t.Helper()
	eventually(t, func() error { // another test's container that is about to start may have any name for a moment
		if err := s.agreeOn(t, &m); err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		return nil
	})
}

// agreeOn returns how one of those who may be asked does not name the cause.
func (s explainer) agreeOn(t *testing.T, m *missing) error {
	is, err := s.explained(m)
	if err != nil {
		return err
	}
	if is.Cause != m.cause || !strings.Contains(is.Summary, m.says) {
		return fmt.Errorf("the cause is %q, want %q, with %q in %q", is.Cause, m.cause, m.says, is.Summary)
	}
	args := []string{"docker", "explain", m.name, "--status", s.status}
	if m.from != "" {
		args = append(args, "--from", m.from)
	}
	out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	if _, ended := err.(*exec.ExitError); err != nil && !ended || !strings.Contains(timeless(string(out)), is.Summary[1:]) { // it begins a sentence
		return fmt.Errorf("the terminal says, with %v, and not %q:\n%s", err, is.Summary, out)
	}
	if m.from != "" {
		return nil
	}
	if got, err := s.extendedErrors(m.name, is.Summary); err != nil || got != m.ede {
		return fmt.Errorf("the extended errors of %s are %q, want %q: %v", m.name, got, m.ede, err)
	}
	return nil
}

// Who misses a name is told the true cause.
func TestExplained(t *testing.T) {
	t.Parallel()
	x := suffix()
	a, b := machine.network(t), machine.network(t)
	on := func(network, name string, options ...string) string {
		return machine.run(t, append([]string{"--name", name + "-" + x, "--network", network}, options...)...)
	}
	on(a, "web")
	on(b, "app")
	on(a, "off", "--label", label+"enable=false")
	on(a, "asks", "--label", label+"enable=ture")
	sick := on(a, "sick", "--label", label+"health=require", "--health-cmd", "nonsense", "--health-interval", "500ms", "--health-retries", "1")
	machine.do(t, "pause", on(a, "paused", "--label", label+"health=require"))
	on(a, "thief", "--label", label+"host=api.web-"+x)
	on(a, "one", "--network-alias", "db-"+x)
	on(b, "two", "--network-alias", "db-"+x)
	on(a, "odd", "--network-alias", "odd!"+x)
	stopping := machine.runAs(t, []string{"--name", "stopping-" + x, "--stop-timeout", "600", "--label", label + "health=require"}, image, "stubborn")
	held := on(a, "held")

	body := "hold 10m\npublish"
	if podman { // which tells of a stop signal by no event
		body += "\nresync 1s"
	}
	plain := explaining(t, body)
	optIn, isolated := explaining(t, "opt_in"), explaining(t, "isolate")
	behind := explaining(t, "forwarders 127.0.0.1")
	for _, s := range []explainer{plain, optIn, isolated, behind} {
		eventually(t, s.isReady)
	}
	checkHealth(t, sick)
	var stop sync.WaitGroup
	t.Cleanup(func() {
		machine.output("kill", stopping)
		stop.Wait()
	})
	stop.Go(func() { machine.output("stop", stopping) }) // which takes its time
	machine.do(t, "kill", held)

	name := func(name string) string { return name + "-" + x + ".docker" }
	for _, m := range []missing{
		{what: "the wrong zone", name: name("web") + ".loc", cause: "no_zone", says: "did you mean " + name("web") + "."},
		{what: "a typo", name: name("wbe"), cause: "no_such_name", says: "did you mean " + name("web") + ".", ede: cause},
		{what: "left out by a label", name: name("off"), cause: "left_out_label", says: "container off-" + x + " is left out by its label " + label + "enable", ede: cause},
		{what: "on another network", name: name("web"), from: "app-" + x, cause: "other_network", says: "container web-" + x + " shares no network with container app-" + x},
		{what: "unhealthy", name: name("sick"), cause: "unhealthy", says: "container sick-" + x + " is unhealthy", ede: cause},
		{what: "paused", name: name("paused"), cause: "paused", says: "container paused-" + x + " is paused", ede: cause},
		{what: "stopping", name: name("stopping"), cause: "stopping", says: "container stopping-" + x + " was told to stop", ede: cause},
		{what: "held", name: name("held"), cause: "held", says: "container held-" + x + " ended", ede: cause},
		{what: "lost to another's name", name: "api." + name("web"), cause: "lost", says: "the name is container web-" + x + "'s, by its container name; container thief-" + x, ede: cause},
		{what: "an ambiguous alias", name: name("db"), cause: "ambiguous", says: "several mean different things by the name: one-" + x + ", two-" + x, ede: cause},
		{what: "bad characters", name: "odd!" + x + ".docker", cause: "bad_name", says: "container odd-" + x + "'s alias name", ede: cause},
		{what: "not published for the LAN", name: name("web"), from: "lan", cause: "not_published", says: "container web-" + x + " publishes no port"},
	} {
		plain.explains(t, m)
	}
	optIn.explains(t, missing{what: "left out by opt_in", name: name("web"), cause: "left_out_opt_in", says: "container web-" + x + " is left out: with opt_in", ede: cause})
	optIn.explains(t, missing{what: "a refused label", name: name("asks"), cause: "label_refused", says: "container asks-" + x + "'s label " + label + "enable is refused", ede: cause})
	isolated.explains(t, missing{what: "isolation", name: name("web"), from: "app-" + x, cause: "isolated", says: "container web-" + x + " shares no network with container app-" + x})
	isolated.explains(t, missing{what: "left out, with isolation", name: name("off"), cause: "left_out_label"})
	behind.explains(t, missing{what: "a resolver in between", name: name("web"), cause: "forwarded", says: "asks for others, who count as elsewhere: container web-" + x})
}

// Of a container that can't be inspected that is said.
func TestExplainedUnread(t *testing.T) {
	t.Parallel()
	name := "unread-" + suffix()
	id := machine.run(t, "--name", name)
	p := startProxy(t, machineSocket(t), func(engine http.RoundTripper) http.RoundTripper { return failing{engine, id} })
	s := explaining(t, "endpoint unix://"+p.socket)
	s.explains(t, missing{what: "inspect fails", name: name + ".docker", cause: "unread", says: "can't be inspected: ", ede: cause})
}

// failing fails to inspect the container.
type failing struct {
	http.RoundTripper
	id string
}

// RoundTrip implements http.RoundTripper.
func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/containers/"+f.id+"/json") {
		return &http.Response{StatusCode: http.StatusInternalServerError, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"message":"input/output error"}`)), Request: r}, nil
	}
	return f.RoundTripper.RoundTrip(r)
}

// Before an engine is reached, and while it is away, that is said to all.
func TestExplainedAway(t *testing.T) {
	t.Parallel()
	e := newEngine(t, liveRestore)
	s := explaining(t, "endpoint "+e.host)
	first := missing{what: "not synced", name: "web.docker", cause: "not_ready", says: "has not told its containers yet", ede: "14"}
	s.explains(t, first)
	s.digs(t, "web.docker", `status: SERVFAIL[\s\S]*; EDE: 14 \(Not Ready\)\n`)

	e.start()
	network := e.populate()
	addr := e.addr(t, e.run(t, "--network", network, "--name", "web"))
	s.soon("web.docker.", dns.TypeA, addr)
	s.digs(t, "wep.docker", `status: NXDOMAIN[\s\S]*; EDE: 0 \(Other\): \(no container has the name; did you mean web\.docker\.\)\n`)
	e.End(syscall.SIGTERM)
	eventually(t, func() error { return s.wantMetric("coredns_docker_connected", 0) })
	s.explains(t, missing{what: "the engine is away", name: "web.docker", cause: "host_away", says: "its last state answers", ede: "3 23"})
	s.explains(t, missing{what: "the engine is away", name: "other.docker", cause: "host_away", says: "nobody else has the name", ede: "19 23 " + cause})
	s.digs(t, "web.docker", `status: NOERROR[\s\S]*; EDE: 3 \(Stale Answer\)\n; EDE: 23 \(Network Error\)\n`)
}

// digs checks what dig prints.
func (s explainer) digs(t *testing.T, name, pattern string) {
	t.Helper()
	if err := rig.Need("dig"); err != nil {
		t.Logf("what dig prints is not looked at: %v", err)
		return
	}
	ip, port, _ := strings.Cut(s.Addr, ":")
	out, err := rig.Output(exec.CommandContext(t.Context(), "dig", "-p", port, "@"+ip, name))
	if err != nil || !regexp.MustCompile(pattern).MatchString(out) {
		t.Errorf("dig prints, with %v, and nothing like %s:\n%s", err, pattern, out)
	}
}

// What is on an overlay network alone that is internal is not reached by the host, which says so.
func TestExplainedOverlay(t *testing.T) {
	inSwarm(t)
	inner := overlay(t, "--internal")
	name := "inner-" + suffix()
	machine.run(t, "--name", name, "--network", inner)
	explaining(t, "").explains(t, missing{what: "an overlay from the host", name: name + ".docker", cause: "not_reachable",
		says: "the Docker host reaches no address of container " + name, ede: cause})
}
