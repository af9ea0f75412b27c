package e2e

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// A situation is what somebody has reported with containers' names, in our terms: docs/reports.md has where it is from, and why the answers
// are right. In all texts "%" stands for what makes the run's names its own.
type situation struct {
	networks []string // NAME OPTION...
	keys     string   // of the server block, zones by default
	body     string   // properties of the docker block
	beside   string   // plugins beside it; UPSTREAM is who answers for example.org
	run      []string // KEY OPTION...: KEY is how the container is called unless --name stands there; "+NETWORK" joins one more, by "+NETWORK=ALIAS" with an alias; "~" is a blank
	asks     []string // WHO NAME TYPE WANT...: see told
	then     func(t *testing.T, l *reported)
	docker   bool // of Docker alone: on Podman's networks other rules hold
}

// reported is a report that is being tried.
type reported struct {
	*server
	lan      lan
	up       *upstream
	suffix   string
	networks []string
	ids      map[string]string // by key
}

// text has the run's own names in a text.
func (l *reported) text(s string) string { return strings.ReplaceAll(s, "%", l.suffix) }

// try makes what the report has, and asks.
func (r situation) try(t *testing.T) {
	if r.docker && podman {
		t.Skip("a report about Docker's networks")
	}
	l := &reported{lan: newLAN(t), up: startUpstream(t), suffix: suffix(), ids: map[string]string{}}
	at := l.lan.Host.String()
	for _, n := range r.networks {
		f := strings.Fields(l.text(n))
		machine.do(t, slices.Concat([]string{"network", "create", "--label", theRun.Label()}, f[1:], f[:1])...)
		t.Cleanup(func() { machine.output("network", "rm", f[0]) })
		l.networks = append(l.networks, f[0])
		at += " " + machine.gateway(t, f[0]).String()
	}
	body := fmt.Sprintf("docker %s {\n%s\n}\n%s", l.text(cmp.Or(r.keys, zones)), l.text(r.body), strings.ReplaceAll(r.beside, "UPSTREAM", l.up.addr))
	l.server = serve(t, config{Also: at, Body: body})
	for _, c := range r.run {
		l.start(t, c)
	}
	for _, question := range r.asks {
		l.told(t, question)
	}
	if r.then != nil {
		r.then(t, l)
	}
}

// start runs a container of the report, and returns its ID.
func (l *reported) start(t *testing.T, c string, program ...string) (id string) {
	t.Helper()
	f := strings.Fields(l.text(c))
	key, options, joins := f[0], []string(nil), []string(nil)
	for _, option := range f[1:] {
		if network, joined := strings.CutPrefix(option, "+"); joined {
			joins = append(joins, network)
		} else {
			options = append(options, strings.ReplaceAll(option, "~", " "))
		}
	}
	if !slices.Contains(options, "--name") {
		options = append(options, "--name", key+l.suffix)
	}
	id = machine.runAs(t, options, append([]string{image}, program...)...)
	for _, join := range joins {
		network, alias, named := strings.Cut(join, "=")
		if named {
			machine.do(t, "network", "connect", "--alias", alias, network, id)
		} else {
			machine.do(t, "network", "connect", network, id)
		}
	}
	l.ids[key] = id
	return id
}

// told checks an answer: WHO NAME TYPE WANT... WHO is a container's key, "host" or "lan". What is wanted are "KEY" for the address of a
// container on one network, "KEY@NETWORK", "gateway@KEY" for that of the network on which it is, "lan" for the host's address there, or what outcome tells.
func (l *reported) told(t *testing.T, question string) {
	t.Helper()
	f := strings.Fields(l.text(question))
	qtype, want := dns.StringToType[f[2]], []string(nil)
	for _, w := range f[3:] {
		want = append(want, l.means(t, w))
	}
	if len(want) > 1 && qtype != dns.TypeSRV {
		slices.Sort(want)
	}
	eventually(t, func() error {
		if got := l.answer(t, f[0], f[1], qtype); got != strings.Join(want, " ") {
			return fmt.Errorf("%s asks for %s %s: %s, want %s (%s)", f[0], f[1], f[2], got, strings.Join(want, " "), question)
		}
		return nil
	})
}

func (l *reported) means(t *testing.T, w string) string {
	t.Helper()
	who, network, on := strings.Cut(w, "@")
	switch id := l.ids[who]; {
	case w == "lan":
		return l.lan.Host.String()
	case on && who == "gateway":
		return machine.do(t, "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", l.ids[network])
	case on && id != "":
		return onNetwork(t, id, network)
	case id != "":
		return machine.addr(t, id)
	default:
		return w
	}
}

// answer is what one of a report's askers is told.
func (l *reported) answer(t *testing.T, who, name string, qtype uint16) string {
	t.Helper()
	switch who {
	case "host":
		return outcome(l.ask(name, qtype))
	case "lan":
		return l.lan.ask(t, l.server, name, qtype)
	}
	// A container asks at its own gateway: from an internal network no other is reached.
	c := machine.inspect(t, l.ids[who])
	_, port, _ := net.SplitHostPort(l.Addr)
	at := l.lan.Host.String()
	for _, network := range l.networks {
		if n, is := c.NetworkSettings.Networks[network]; is && n.IPAddress != "" {
			at = machine.gateway(t, network).String()
		}
	}
	return askIn(t, []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", c.State.Pid)}, net.JoinHostPort(at, port), name, qtype)
}

// ofService are the options of a container of a Compose service.
func ofService(project, service string) string {
	return " --label com.docker.compose.project=" + project + " --label com.docker.compose.service=" + service + " "
}

// What people have reported of names of containers elsewhere is answered rightly here: docs/reports.md has each of these.
func TestReports(t *testing.T) {
	t.Parallel()
	for _, group := range []map[string]situation{clusterReports, networkReports, resolverReports} {
		for name, r := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r.try(t)
			})
		}
	}
}
