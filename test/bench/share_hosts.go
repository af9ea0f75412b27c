package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/rpc"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	engines "github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/share"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// tellersCommand is this program's command that is hosts which tell of themselves through etcd, by the product's own code: it gets
// how many there are, how many containers each has, and etcd's URLs. It is driven over its standard input and output, and ends with them.
const tellersCommand = "tellers"

// tellers is that process.
type tellers struct {
	*rig.Process
	client *rpc.Client
}

func startTellers(hosts, containers int, urls string) (*tellers, error) {
	p, client, err := startDriven([]string{os.Args[0], tellersCommand, strconv.Itoa(hosts), strconv.Itoa(containers), urls})
	return &tellers{p, client}, err
}

// call has the hosts do something; see Fleet for what there is.
func (t *tellers) call(method string, args, reply any) error {
	if err := t.client.Call("Fleet."+method, args, reply); err != nil {
		return fmt.Errorf("hosts: %s: %w", method, err)
	}
	return nil
}

func (t *tellers) stop() error { return stopDriven(t.Process, t.client) }

// tellersMain is the process.
func tellersMain(args []string) error {
	hosts, err1 := strconv.Atoi(args[0])
	containers, err2 := strconv.Atoi(args[1])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	f := &Fleet{containers: containers}
	for i := range hosts {
		f.hosts = append(f.hosts, &teller{fleet: f, number: i, live: map[int]*container.Container{}})
	}
	for _, h := range f.hosts {
		for i := range containers {
			h.live[h.number*containers+i] = h.facts(h.number*containers + i)
		}
		cfg := share.Config{URLs: args[2], Path: sharePath, Lease: 15 * time.Second, Labels: "com.docker.compose.", Host: h.id(), Addresses: hostAt(h.number), Deaf: true}
		h.member = share.Join(cfg, h, f, nil)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Fleet", f); err != nil {
		return err
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout}) // until the parent ends
	return nil
}

const sharePath = "/dockerdiscovery"

// hostAt is the address of a host.
func hostAt(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }

// Fleet is all of the process's hosts. Its other methods are those that package rpc looks for. It implements share.Observer.
type Fleet struct {
	hosts      []*teller
	containers int // of each host at first

	keys, transactions atomic.Int64

	mu     sync.Mutex // guards failed
	failed error
}

// Written implements share.Observer.
func (f *Fleet) Written(keys int, err error) {
	f.keys.Add(int64(keys))
	f.transactions.Add(1)
	f.fail(err)
}

// Refused implements share.Observer.
func (f *Fleet) Refused(_ container.HostID, err error) { f.fail(err) }

// Reached implements share.Observer.
func (f *Fleet) Reached(string, error) {}

// Told implements share.Observer.
func (f *Fleet) Told(_ container.HostID, err error) { f.fail(err) }

// Skipped implements share.Observer.
func (f *Fleet) Skipped(container.HostID, string) {}

func (f *Fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = errors.Join(f.failed, err)
}

// Told is what was told so far.
type Told struct {
	Keys, Transactions int64
	All                bool   // that there is to tell, at first
	Failed             string // "" if nothing has
}

// Progress replies that.
func (f *Fleet) Progress(_ Nothing, told *Told) error {
	*told = Told{Keys: f.keys.Load(), Transactions: f.transactions.Load(), All: true}
	for _, h := range f.hosts {
		told.All = told.All && h.member.State().Owned
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		told.Failed, f.failed = f.failed.Error(), nil
	}
	return nil
}

// Start has one more container run, the i-th of all, on one of the hosts.
func (f *Fleet) Start(i int, _ *Nothing) error {
	f.host(i).start(i)
	return nil
}

// Stop ends it.
func (f *Fleet) Stop(i int, _ *Nothing) error {
	f.host(i).stop(i)
	return nil
}

// host is that of one more container.
func (f *Fleet) host(i int) *teller { return f.hosts[i%len(f.hosts)] }

// Churn starts and ends containers on all hosts in turn, and replies how many changes there were.
func (f *Fleet) Churn(c Churn, changes *int) error {
	interval := time.Second / time.Duration(c.PerSecond)
	begin := time.Now()
	for ; time.Since(begin) < c.Lasts; *changes++ {
		time.Sleep(time.Until(begin.Add(time.Duration(*changes) * interval)))
		if i := c.From + *changes%c.Number; *changes/c.Number%2 == 0 {
			f.host(i).start(i)
		} else {
			f.host(i).stop(i)
		}
	}
	for i := range c.Number {
		f.host(c.From + i).stop(c.From + i)
	}
	return nil
}

// teller is one of the hosts. It implements share.Watcher.
type teller struct {
	fleet  *Fleet
	number int
	member *share.Member

	mu   sync.Mutex // guards the following, and is held while the sink is called
	sink engines.Sink
	live map[int]*container.Container
}

func (h *teller) id() container.HostID { return container.HostID(fmt.Sprintf("host%d", h.number)) }

// Subscribe implements share.Watcher.
func (h *teller) Subscribe(sink engines.Sink, _ time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sink = sink
	facts := container.Host{Engine: "engine of " + string(h.id()), Routed: true}
	for i := 0; i < h.fleet.containers; i += perNetwork {
		subnet := netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", i/perNetwork))
		facts.Networks = append(facts.Networks, container.Network{
			ID: longID(i), Name: networkName(i), Driver: "bridge", Subnets: []netip.Prefix{subnet}, Gateways: []netip.Addr{subnet.Addr().Next()},
		})
	}
	sink.Host(facts)
	for i, c := range h.live {
		sink.Apply([]container.Change{{ID: longID(i), Container: c}})
	}
	sink.Synced()
	sink.Current(true, time.Now())
}

// Unsubscribe implements share.Watcher.
func (h *teller) Unsubscribe(engines.Sink) {}

func (h *teller) start(i int) {
	c := h.facts(i)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live[i] = c
	h.sink.Apply([]container.Change{{ID: c.ID, Container: c}})
}

func (h *teller) stop(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.live, i)
	h.sink.Apply([]container.Change{{ID: longID(i), Gone: true}})
}

func longID(i int) string { return fmt.Sprintf("%012x%052x", i, i) }

// facts are those of the i-th container of all: as spec has it, and with the labels that Compose gives.
func (h *teller) facts(i int) *container.Container {
	s := spec(i)
	first := h.number * h.fleet.containers
	net, at := (i-first)/perNetwork, (i-first)%perNetwork+2 // after the gateway's
	if i < first || i >= first+h.fleet.containers {         // one that comes later
		net, at = 0, i/len(h.fleet.hosts)%perNetwork+2*perNetwork
	}
	network := networkName(net * perNetwork)
	service, project := s.Labels["com.docker.compose.service"], s.Labels["com.docker.compose.project"]
	started := time.Now()
	return &container.Container{
		ID: longID(i), Name: s.Name, Hostname: s.Hostname, Image: "registry.example/" + project + "/" + service + ":1.0", Created: started, Started: started,
		Labels: map[string]string{
			"com.docker.compose.service": service, "com.docker.compose.project": project, "com.docker.compose.container-number": "1",
			"com.docker.compose.oneoff": "False", "com.docker.compose.config-hash": longID(i), "com.docker.compose.image": "sha256:" + longID(i),
			"com.docker.compose.project.config_files": "/srv/" + project + "/compose.yaml", "com.docker.compose.project.working_dir": "/srv/" + project,
			"com.docker.compose.depends_on": "", "com.docker.compose.version": "2.39.1",
		},
		NetworkMode: network,
		Endpoints: []container.Endpoint{{
			ID: longID(i), Network: network, Aliases: slices.Concat(s.Networks[0].Aliases, []string{s.Name, longID(i)[:12]}),
			Addrs:    []netip.Addr{netip.AddrFrom4([4]byte{10, byte(net), byte(at >> 8), byte(at)})},
			Gateways: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(net), 0, 1})},
		}},
		Ports: []container.Port{{Number: 80, Proto: "tcp", Published: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}}},
	}
}
