package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

const (
	zone        = "docker."
	project     = "app"
	serviceSize = 5
	networks    = 10
)

// service is a Compose service, whose containers answer to one name together.
type service struct {
	name    string
	members []*member
	home    string // the network of all of them
	second  string // the one that some join for a while
}

// member is a container, or the place of one that has been removed.
type member struct {
	*service
	base string // its name, unless renamed

	id      string // "" while there is none
	name    string
	running bool
	paused  bool
	ill     bool
	both    bool // is on the second network too
}

func populate(e *enginetest.Engine, services int) []*service {
	for i := range networks {
		e.AddNetwork(network(i), fmt.Sprintf("10.%d.0.0/16", 1+i))
	}
	all := make([]*service, services)
	var members []*member
	for i := range all {
		s := &service{name: fmt.Sprintf("s%d", i), home: network(i), second: network(i + 1)}
		for n := range serviceSize {
			name := fmt.Sprintf("%s-%s-%d", project, s.name, n+1)
			s.members = append(s.members, &member{service: s, base: name, name: name, running: true})
		}
		all[i] = s
		members = append(members, s.members...)
	}
	for i, id := range e.Populate(len(members), func(i int) enginetest.Spec { return members[i].spec() }) {
		members[i].id = id
	}
	return all
}

func network(i int) string { return fmt.Sprintf("net-%d", i%networks) }

func (m *member) spec() enginetest.Spec {
	return enginetest.Spec{
		Name:     m.name,
		Networks: []enginetest.Attachment{{Network: m.home, Aliases: []string{m.service.name}}},
		Labels:   map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": m.service.name},
		Health:   "healthy",
	}
}

// addrs are the container's addresses, as the engine says.
func (m *member) addrs(e *enginetest.Engine) (addrs []string) {
	if m.id == "" || !m.running {
		return nil
	}
	addrs = append(addrs, e.IP(m.id, m.home).String())
	if m.both {
		addrs = append(addrs, e.IP(m.id, m.second).String())
	}
	return addrs
}

// addrs are those of the well containers, or of all that run if none is well.
func (s *service) addrs(e *enginetest.Engine) (addrs []string) {
	for _, m := range s.members {
		if !m.paused && !m.ill {
			addrs = append(addrs, m.addrs(e)...)
		}
	}
	if len(addrs) == 0 {
		return s.running(e)
	}
	return addrs
}

// running are the addresses of all containers that run.
func (s *service) running(e *enginetest.Engine) (addrs []string) {
	for _, m := range s.members {
		addrs = append(addrs, m.addrs(e)...)
	}
	return addrs
}

// ask returns the answers' data, sorted; "" for NODATA and NXDOMAIN. Any other response is an error.
func ask(a *rig.Asker, name, qtype string) (string, error) {
	m, err := a.Ask(name, dns.StringToType[qtype])
	if err != nil {
		return "", err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return "", fmt.Errorf("response code %s", dns.RcodeToString[m.Rcode])
	}
	return set(rig.Data(m.Answer)), nil
}

// set is the addresses in one string.
func set(addrs []string) string { return strings.Join(slices.Sorted(slices.Values(addrs)), " ") }

// question has one right answer.
type question struct{ name, qtype, want string }

// fixed are questions about the services that nobody touches.
func fixed(e *enginetest.Engine, all []*service) (questions []question) {
	for i := 0; i < len(all); i += fixedEvery {
		s := all[i]
		questions = append(questions,
			question{s.fqdn(), "A", set(s.addrs(e))},
			question{s.fqdn(), "AAAA", ""},
			question{"nobody-" + s.fqdn(), "A", ""})
		for _, m := range s.members {
			addr := m.addrs(e)[0]
			questions = append(questions,
				question{m.fqdn(), "A", addr},
				question{m.id[:12] + "." + zone, "A", addr},
				question{reverse(addr), "PTR", m.fqdn()})
		}
	}
	return questions
}

func (s *service) fqdn() string { return s.name + "." + project + "." + zone }
func (m *member) fqdn() string  { return m.name + "." + zone }

func reverse(addr string) string {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		panic(err) // it is the engine's
	}
	return name
}

// askFixed asks questions whose answers must be right always.
func askFixed(ctx context.Context, server string, questions []question, rate int, found *results) {
	a := &rig.Asker{Server: server}
	defer a.Close()
	pace := time.NewTicker(time.Second / time.Duration(rate))
	defer pace.Stop()
	for {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		q := questions[rand.IntN(len(questions))]
		found.asked()
		if got, err := ask(a, q.name, q.qtype); err != nil || got != q.want {
			found.addWrong("%s %s, which nobody touched: %q, %v, want %q", q.name, q.qtype, got, err, q.want)
		}
	}
}
