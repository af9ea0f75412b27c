package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

var situationsFile = flag.String("e2e.situations", "", "a file to which TestSituations writes what it has seen, as JSON")

// comparison is a situation in which somebody asks, with the right answer and the reason that is to be given for it. In its texts ~ stands
// for what makes a name unique, and is not shown.
type comparison struct {
	What   string   `json:"situation"` // docs/compare.md calls it so
	Made   string   `json:"made"`      // how
	Asker  string   `json:"asker"`
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Answer []string `json:"answer"` // by scene.answers, or as it stands
	Cause  string   `json:"cause"`  // that "explain" names
	server string   // one of the servers, plain if empty
}

// Who asks. Other askers are containers, by their names.
const (
	byHost = "the host"
	byLAN  = "the LAN"
)

// answer is what the situation has for an answer.
func answer(all ...string) []string { return all }

const label = "coredns.dockerdiscovery."

// situations are the kinds of faults that were reported of deployments, of what askers reach, and of explanations.
var situations = []comparison{
	// Names.
	{"A container by its name", "--name web", byHost, "web~.docker.", "A", answer("web's address on a", "web's address on b"), "answered", ""},
	{"A name in capitals", "--name web", byHost, "WEB~.DOCKER.", "A", answer("web's address on a", "web's address on b"), "answered", ""},
	{"A container by its host name", "--hostname inner", byHost, "inner~.docker.", "A", answer("plain's address"), "answered", ""},
	{"An underscore written as a hyphen", "--name shop_web", byHost, "shop-web~.docker.", "A", answer("shop_web's address"), "answered", ""},
	{"A container name that lies in the zone", "--name git.docker", byHost, "git~.docker.", "A", answer("git's address"), "answered", ""},
	{"An alias that lies in the zone", "--network-alias auth.lab.docker", byHost, "auth~.lab~.docker.", "A", answer("plain's address"), "answered", ""},
	{"A name that lies in the zone is not doubled", "--name git.docker", byHost, "git~.docker.docker.", "A", answer(nxdomain), "no_such_name", ""},
	{"An alias", "--network-alias cache", byHost, "cache~.docker.", "A", answer("plain's address"), "answered", ""},
	{"An alias of one network", "--network-alias cache", byHost, "cache~.NET-a.docker.", "A", answer("plain's address"), "answered", ""},
	{"A Compose service's replicas", "two containers of service api, project shop", byHost, "api.shop~.docker.", "A", answer("api1's address", "api2's address"), "answered", ""},
	{"A project's name", "containers of project shop", byHost, "shop~.docker.", "A", answer(nodata), "names_below", ""},
	{"A container of compose run does not serve", "a one-off of service api with its host name", byHost, "rabbit~.docker.", "A", answer("api1's address"), "answered", ""},
	{"A name by a label", "label .host=www", byHost, "www~.docker.", "A", answer("labelled's address"), "answered", ""},
	{"A wildcard by a label", "label .host=*.app", byHost, "x.y.app~.docker.", "A", answer("labelled's address"), "answered", ""},
	{"A name by a template", "template {{.Name}}.t", byHost, "plain~.t.docker.", "A", answer("plain's address"), "answered", ""},
	{"A TXT record by a label", "label .records=txt TXT hello", byHost, "txt~.docker.", "TXT", answer(`"hello"`), "answered", ""},
	{"A CNAME by a label is followed", "label .records=alias CNAME @", byHost, "alias~.docker.", "A", answer("labelled's address", "labelled~.docker."), "answered", ""},
	{"A service's port", "--expose 5432", byHost, "_postgresql._tcp.plain~.docker.", "SRV", answer("0 0 5432 plain~.docker."), "answered", ""},
	{"An address's name", "--name plain --hostname inner", byHost, "PTR-plain", "PTR", answer("plain~.docker."), "answered", ""},
	{"An address that nobody has", "", byHost, "254.255.31.172.in-addr.arpa.", "PTR", answer(nxdomain), "no_such_name", ""},
	{"No IPv6 address", "--name plain, on an IPv4 network", byHost, "plain~.docker.", "AAAA", answer(nodata), "no_type", ""},
	{"HTTPS, as browsers ask for it", "--name plain", byHost, "plain~.docker.", "HTTPS", answer(nodata), "no_type", ""},
	{"An IPv6 address", "--name six, on an IPv6 network", byHost, "six~.docker.", "AAAA", answer("six's IPv6 address"), "answered", ""},
	{"IPv6 switched off in the container", "--sysctl net.ipv6.conf.all.disable_ipv6=1", byHost, "four~.docker.", "AAAA", answer(nodata), "no_type", ""},
	{"A name below a container's", "--name plain", byHost, "nobody.plain~.docker.", "A", answer(nxdomain), "no_such_name", ""},
	{"A typo", "--name web", byHost, "wbe~.docker.", "A", answer(nxdomain), "no_such_name", ""},
	{"A zone that is nobody's", "--name web", byHost, "web~.docker.loc.", "A", answer("REFUSED"), "no_zone", ""},
	{"The zone's name server", "", byHost, "docker.", "NS", answer("ns.dns.docker."), "answered", ""},
	{"Characters that no name has", "--network-alias odd!", byHost, "odd!~.docker.", "A", answer(nxdomain), "bad_name", ""},

	// Whose a name is.
	{"A label below another container's name", "label .host=api.web of a container thief", byHost, "api.web~.docker.", "A", answer(nxdomain), "lost", ""},
	{"One alias on two networks, for the host", "--network-alias db on a and on b", byHost, "db~.docker.", "A", answer(nodata), "ambiguous", ""},
	{"One alias on two networks, for who is on one", "--network-alias db on a and on b", "app-a", "db~.docker.", "A", answer("db-a's address"), "answered", ""},
	{"One alias on two networks, for who is on the other", "--network-alias db on a and on b", "app-b", "db~.docker.", "A", answer("db-b's address"), "answered", ""},
	{"One host name in two projects, for the host", "--hostname dbhost, projects blue and green", byHost, "dbhost~.docker.", "A", answer(nodata), "ambiguous", ""},
	{"One host name in two projects, for a project's own", "--hostname dbhost, projects blue and green", "app-a", "dbhost~.docker.", "A", answer("db-a's address"), "answered", ""},
	{"The project's full name, for the host", "service db, project green", byHost, "db.green~.docker.", "A", answer("db-b's address"), "answered", ""},
	{"A stranger is called as one's own service", "--name mq on a; service mq of green on b", "app-b", "mq~.docker.", "A", answer("mq-b's address"), "answered", ""},
	{"One's own service is away, another project has one", "alias job on a, killed; alias job on b", "app-a", "job~.docker.", "A", answer(nodata), "held", ""},
	{"Left out by a label", "label .enable=false", byHost, "off~.docker.", "A", answer(nxdomain), "left_out_label", ""},
	{"Not let in, with opt_in", "--name web", byHost, "web~.docker.", "A", answer(nxdomain), "left_out_opt_in", "opt_in"},
	{"Let in, with opt_in", "label .enable=true", byHost, "in~.docker.", "A", answer("in's address"), "answered", "opt_in"},
	{"A label that is refused", "label .enable=ture", byHost, "asks~.docker.", "A", answer(nxdomain), "label_refused", "opt_in"},

	// What lives.
	{"A container that has just ended", "docker kill", byHost, "held~.docker.", "A", answer(nodata), "held", ""},
	{"A container that was never started", "docker create", byHost, "created~.docker.", "A", answer(nxdomain), "not_started", ""},
	{"A crash loop", "--restart always, ends at once", byHost, "crash~.docker.", "A", answer(nodata), "held", ""},
	{"Another signal than the stop signal", "docker kill -s QUIT, goes on", byHost, "jvm~.docker.", "A", answer("jvm's address"), "answered", ""},
	{"Told to stop, where health is required", "docker kill -s TERM, goes on", byHost, "stopping~.docker.", "A", answer(nodata), "stopping", ""},
	{"Paused, where health is required", "docker pause", byHost, "paused~.docker.", "A", answer(nodata), "paused", ""},
	{"Unhealthy, where health is required", "a failing health check", byHost, "sick~.docker.", "A", answer(nodata), "unhealthy", ""},
	{"Unhealthy, and alone", "a failing health check", byHost, "lone~.docker.", "A", answer("lone's address"), "unhealthy", ""},
	{"Unhealthy beside a healthy one", "a failing health check; the same host name", byHost, "pool~.docker.", "A", answer("well's address"), "answered", ""},
	{"An unhealthy peer, for its own service", "two of one service, one fails its health check", "well", "pool.shop~.docker.", "A", answer("ill's address", "well's address"), "answered", ""},

	// What the asker reaches.
	{"On a shared network", "on a and b; the asker on a", "app-a", "web~.docker.", "A", answer("web's address on a"), "answered", ""},
	{"On no shared network", "on a; the asker on b", "app-b", "plain~.docker.", "A", answer(nodata), "other_network", ""},
	{"On no shared network, published", "-p 80 on a; the asker on b", "app-b", "pub~.docker.", "A", answer("the gateway of b"), "answered", ""},
	{"Containers on one network without icc", "both on a network with enable_icc=false", "apart", "lonely~.docker.", "A", answer(nodata), "not_reachable", ""},
	{"On an internal network, for its neighbour", "both on an internal network", "app-i", "vault~.docker.", "A", answer("vault's address"), "answered", ""},
	{"From an internal network", "-p 80 on a; the asker on an internal network", "app-i", "pub~.docker.", "A", answer(nodata), "not_reachable", ""},
	{"The host's network, for a container", "--network host", "app-b", "hostnet~.docker.", "A", answer("the gateway of b"), "answered", ""},
	{"The host's network, for the LAN", "--network host", byLAN, "hostnet~.docker.", "A", answer("the host's address on the LAN"), "answered", ""},
	{"Another container's network", "--network container:pub", "app-a", "joined~.docker.", "A", answer("pub's address"), "answered", ""},
	{"Not published, for the LAN", "--name plain", byLAN, "plain~.docker.", "A", answer(nodata), "not_published", ""},
	{"Published, for the LAN", "-p 80", byLAN, "pub~.docker.", "A", answer("the host's address on the LAN"), "answered", ""},
	{"Published, for the host", "-p 80", byHost, "pub~.docker.", "A", answer("pub's address"), "answered", ""},
	{"Published on loopback alone, for the LAN", "-p 127.0.0.1::80", byLAN, "inward~.docker.", "A", answer(nodata), "not_published", ""},
	{"Isolated", "isolate; the asker on b", "app-b", "plain~.docker.", "A", answer(nxdomain), "isolated", "isolate"},
	{"Isolated, with a port", "isolate, --expose 5432; the asker on b", "app-b", "_postgresql._tcp.plain~.docker.", "SRV", answer(nxdomain), "isolated", "isolate"},
	{"A resolver in between", "forwarders", byHost, "plain~.docker.", "A", answer(nodata), "forwarded", "forwarders"},
	{"A resolver in between, published", "forwarders, -p 80", byHost, "pub~.docker.", "A", answer("the host's address on the LAN"), "answered", "forwarders"},

	// Zone ".", and engines that can't be asked.
	{"A bare name", "zone ., --name web", byHost, "web~.", "A", answer("web's address on a", "web's address on b"), "answered", "zone ."},
	{"An alias that is the Internet's name", "zone ., --network-alias example.org", byHost, "example.org.", "A", answer(exampleOrg), "bad_name", "zone ."},
	{"The engine was never reached", "no socket there", byHost, "web~.docker.", "A", answer("SERVFAIL"), "not_ready", "no engine"},
	{"The engine is away", "its socket does not answer any more", byHost, "plain~.docker.", "A", answer("plain's address"), "host_away", "away"},
	{"The engine is away, and the name not known", "its socket does not answer any more", byHost, "later~.docker.", "A", answer(nxdomain), "host_away", "away"},
	{"Inspect fails", "the engine refuses to tell of one container", byHost, "later~.docker.", "A", answer(nxdomain), "unread", "unread"},
}

// scene is what the situations are about.
type scene struct {
	t        *testing.T
	x        string            // what ~ stands for
	ids      map[string]string // of containers, by name
	networks map[string]string
	answers  map[string]string // what stands for an answer
	servers  map[string]explainer
	lan      lan
}

// text is the text with what is unique.
func (s *scene) text(of string) string {
	if container, ok := strings.CutPrefix(of, "PTR-"); ok {
		return reverse(s.t, machine.addr(s.t, s.ids[container]))
	}
	return strings.ReplaceAll(strings.ReplaceAll(of, "~", "-"+s.x), "NET-a", s.networks["a"])
}

// on runs a container on the networks and notes its addresses.
func (s *scene) on(networks, name string, options ...string) string {
	return s.runs(networks, name, options, image)
}

func (s *scene) runs(networks, name string, options []string, program ...string) (id string) {
	s.t.Helper()
	first, more, _ := strings.Cut(networks, " ")
	options = append([]string{"--name", name + "-" + s.x, "--network", s.networks[first]}, options...)
	for i := range options {
		options[i] = s.text(options[i])
	}
	id = machine.runAs(s.t, options, program...)
	s.ids[name] = id
	for n := range strings.FieldsSeq(more) {
		machine.do(s.t, "network", "connect", s.networks[n], id)
	}
	for n := range strings.FieldsSeq(networks) {
		of := machine.inspect(s.t, id).NetworkSettings.Networks[s.networks[n]]
		s.answers[name+"'s address on "+n], s.answers[name+"'s address"], s.answers[name+"'s IPv6 address"] = of.IPAddress, of.IPAddress, of.GlobalIPv6Address
	}
	return id
}

// serving are the options of a container that has a service in its project.
func serving(project, service string) []string {
	return strings.Fields(ofService(project+"~", service))
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, x: suffix(), ids: map[string]string{}, answers: map[string]string{}, servers: map[string]explainer{}, lan: newLAN(t)}
	s.networks = map[string]string{
		"a": machine.network(t), "b": machine.network(t), "six": machine.networkIPv6(t), "inside": machine.network(t, "--internal"),
		"noicc": machine.network(t, "--opt", "com.docker.network.bridge.enable_icc=false"),
	}
	for _, n := range []string{"a", "b"} {
		s.answers["the gateway of "+n] = machine.gateway(t, s.networks[n]).String()
	}
	s.answers["the host's address on the LAN"] = s.lan.Host.String()

	s.on("a b", "web")
	s.on("a", "plain", "--hostname", "inner~", "--network-alias", "cache~", "--network-alias", "auth~.lab~.docker", "--expose", "5432")
	s.on("b", "shop_web")
	git := machine.run(t, "--name", s.text("git~.docker"), "--network", s.networks["a"])
	s.answers["git's address"] = machine.addr(t, git)
	for _, n := range []string{"1", "2"} {
		s.on("a", "api"+n, append(serving("shop", "api"), "--hostname", map[string]string{"1": "rabbit~", "2": "hare~"}[n])...)
	}
	s.on("a", "oneoff", append(serving("shop", "api"), "--label", "com.docker.compose.oneoff=True", "--hostname", "rabbit~")...)
	s.on("a", "labelled", "--label", label+"host=www~,*.app~", "--label", label+"records=txt~.docker. TXT hello\nalias~.docker. CNAME @")
	s.on("six", "six")
	if off, err := machine.output("run", "-d", "--name", s.text("four~"), "--network", s.networks["six"], "--sysctl", "net.ipv6.conf.all.disable_ipv6=1", image); err != nil {
		t.Logf("the engine refuses to switch IPv6 off (%s): a container on another network stands for one without", off)
		s.on("a", "four")
	} else {
		t.Cleanup(func() { machine.output("rm", "-f", s.text("four~")) })
	}
	s.on("a", "odd", "--network-alias", "odd!~")
	s.on("a", "thief", "--label", label+"host=api.web~")
	s.on("a", "app-a", serving("blue", "app")...)
	s.on("b", "app-b", serving("green", "app")...)
	s.on("a", "db-a", append(serving("blue", "db"), "--network-alias", "db~", "--hostname", "dbhost~")...)
	s.on("b", "db-b", append(serving("green", "db"), "--network-alias", "db~", "--hostname", "dbhost~")...)
	s.on("a", "mq")
	s.on("b", "mq-b", append(serving("green", "mq"), "--network-alias", "mq~")...)
	gone := s.on("a", "job-a", append(serving("blue", "job"), "--network-alias", "job~")...)
	s.on("b", "job-b", append(serving("green", "job"), "--network-alias", "job~")...)
	s.on("a", "off", "--label", label+"enable=false")
	s.on("a", "in", "--label", label+"enable=true")
	s.on("a", "asks", "--label", label+"enable=ture")
	held := s.on("a", "held")
	jvm := s.runs("a", "jvm", nil, image, "stubborn")
	stopping := s.runs("a", "stopping", []string{"--stop-timeout", "600", "--label", label + "health=require"}, image, "stubborn")
	paused := s.on("a", "paused", "--label", label+"health=require")
	sickly := []string{"--health-cmd", "nonsense", "--health-interval", "500ms", "--health-retries", "1"}
	s.on("a", "sick", append(slices.Clone(sickly), "--label", label+"health=require")...)
	s.on("a", "lone", sickly...)
	s.on("a", "well", append(serving("shop", "pool"), "--hostname", "pool~")...)
	s.on("a", "ill", append(append(serving("shop", "pool"), sickly...), "--hostname", "pool~")...)
	s.on("a", "pub", "-p", "80")
	s.on("a", "inward", "-p", "127.0.0.1::80")
	s.on("noicc", "lonely")
	s.on("noicc", "apart")
	s.on("inside", "vault")
	s.on("inside", "app-i")
	machine.run(t, "--name", s.text("hostnet~"), "--network", "host")
	machine.run(t, "--name", s.text("joined~"), "--network", "container:"+s.ids["pub"])
	machine.run(t, "--network", s.networks["b"], "--network-alias", "example.org")

	at := machine.gateway(t, s.networks["inside"]).String() // which all containers reach
	serve := func(name, zone, properties, more string) {
		status := loopback(freePort(t, "127.0.0.1"))
		body := fmt.Sprintf("docker {\nstatus %s\n%s\n}\n%s", status, properties, more)
		s.servers[name] = explainer{launch(t, config{Keys: zone, IP: at, Also: s.lan.Host.String(), Body: body}), status}
	}
	publish := "publish " + s.lan.Host.String()
	serve("", zones, "hold 10m\ntemplate \"{{.Name}}.t\"\n"+publish, "")
	serve("opt_in", zones, "opt_in", "")
	serve("isolate", zones, "isolate", "")
	serve("forwarders", zones, "forwarders "+at+"\n"+publish, "")
	up := startUpstream(t)
	serve("zone .", ".", "", "forward . "+up.addr)
	cut := &severed{}
	cut.context, cut.cut = context.WithCancel(t.Context())
	serve("away", zones, "endpoint unix://"+startProxy(t, machineSocket(t), cut.wrap).socket, "")
	for _, e := range s.servers {
		eventually(t, e.isReady)
	}
	serve("no engine", zones, "startup 10m\nendpoint unix://"+folder+"/nobody.sock", "")

	machine.do(t, "create", "--name", s.text("created~"), "--network", s.networks["a"], image) // a server that starts later is not told of it
	t.Cleanup(func() { machine.output("rm", "-f", s.text("created~")) })
	machine.do(t, "kill", "-s", "QUIT", jvm)
	machine.do(t, "kill", "-s", "TERM", stopping)
	machine.do(t, "pause", paused)
	machine.do(t, "kill", held, gone)
	crash := machine.runAs(t, []string{"--name", s.text("crash~"), "--restart", "always"}, image, "nonsense")
	eventually(t, func() error {
		if !machine.inspect(t, crash).State.Restarting {
			return errors.New("the container does not wait to be restarted")
		}
		return nil
	})
	cut.cut()
	later := s.on("a", "later")
	proxy := startProxy(t, machineSocket(t), func(engine http.RoundTripper) http.RoundTripper { return failing{engine, later} })
	serve("unread", zones, "endpoint unix://"+proxy.socket, "")
	return s
}

// severed is a way to an engine that ends, and all that goes over it.
type severed struct {
	http.RoundTripper
	context context.Context
	cut     context.CancelFunc
}

func (s *severed) wrap(engine http.RoundTripper) http.RoundTripper {
	s.RoundTripper = engine
	return s
}

// RoundTrip implements http.RoundTripper.
func (s *severed) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	context.AfterFunc(s.context, func() { cancel(errors.New("cut")) })
	return s.RoundTripper.RoundTrip(r.WithContext(ctx))
}

// ask returns the answer that the asker gets now.
func (s *scene) ask(is *comparison) string {
	server, name, qtype := s.servers[is.server], s.text(is.Name), dns.StringToType[is.Type]
	switch is.Asker {
	case byHost:
		got := outcome(server.ask(name, qtype))
		return strings.TrimSuffix(got, " without SOA")
	case byLAN:
		return s.lan.ask(s.t, server.server, name, qtype)
	default:
		return server.from(s.t, s.ids[is.Asker], name, qtype)
	}
}

// right is the answer that the asker should get.
func (s *scene) right(is *comparison) string {
	var data []string
	for _, a := range is.Answer {
		known, ok := s.answers[a]
		if !ok {
			known = s.text(a)
		}
		data = append(data, known)
	}
	slices.Sort(data)
	return strings.Join(data, " ")
}

// sees says what is wrong about the situation, nil if all is right: the answer, and the cause that is given for it.
func (s *scene) sees(is *comparison) error {
	if got, want := s.ask(is), s.right(is); got != want {
		return fmt.Errorf("%s asks for %s %s: %s, want %s (%q)", is.Asker, s.text(is.Name), is.Type, got, want, is.Answer)
	}
	from := map[string]string{byHost: "host", byLAN: "lan"}[is.Asker]
	if from == "" {
		from = is.Asker + "-" + s.x
	}
	if is.server == "forwarders" {
		from, _, _ = strings.Cut(s.servers[is.server].Addr, ":")
	}
	explained, err := s.servers[is.server].explained(&missing{name: s.text(is.Name), from: from, qtype: is.Type})
	if err == nil && explained.Cause != is.Cause {
		err = fmt.Errorf("%s asks for %s %s: the cause is %s, want %s: %s", is.Asker, s.text(is.Name), is.Type, explained.Cause, is.Cause, explained.Summary)
	}
	return err
}

// In each situation the asker gets the right answer, and the true reason for it.
func TestSituations(t *testing.T) {
	t.Parallel()
	if podman {
		t.Skip("the situations are Docker's: Podman's networks lead to each other")
	}
	s := newScene(t)
	seen := seen{Engine: machine.do(t, "version", "-f", "{{.Server.Version}}"), Date: time.Now().UTC().Format(time.DateOnly)}
	for i := range situations {
		is := &situations[i]
		t.Run(is.What, func(t *testing.T) {
			within := *s
			within.t = t
			defer func() { seen.Situations = append(seen.Situations, result{is.shown(), !t.Failed()}) }()
			eventually(t, func() error { return within.sees(is) })
		})
	}
	if *situationsFile == "" {
		return
	}
	text := &bytes.Buffer{}
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	err := encoder.Encode(seen)
	if err == nil {
		err = os.WriteFile(*situationsFile, text.Bytes(), 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// seen is what TestSituations has seen.
type seen struct {
	Engine     string   `json:"engine"` // its version
	Date       string   `json:"date"`
	Situations []result `json:"situations"`
}

type result struct {
	comparison
	Right bool `json:"right"`
}

// What is recorded for docs/compare.md is of these situations, and all was right.
func TestSituationsRecorded(t *testing.T) {
	text, err := os.ReadFile("../../docs/situations.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded seen
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	var want []result
	for i := range situations {
		want = append(want, result{situations[i].shown(), true})
	}
	if !slices.EqualFunc(recorded.Situations, want, func(a, b result) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }) {
		t.Errorf("docs/situations.json is not of these situations, or not all were right: make situations, after this test's change")
	}
}

// shown is the situation without what stands for something unique.
func (is comparison) shown() comparison {
	text := strings.NewReplacer("~", "", "NET-a", "a", "PTR-plain", "(plain's address)").Replace
	is.Name, is.server = text(is.Name), ""
	is.Answer = slices.Clone(is.Answer)
	for i := range is.Answer {
		is.Answer[i] = text(is.Answer[i])
	}
	return is
}
