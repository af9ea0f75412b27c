package main

import (
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// fakeEngine is an internal/enginetest engine in a process apart, so that what it costs is not taken for
// what we cost.
type fakeEngine struct {
	*rig.Process
	client   *rpc.Client
	operator string // the engine's, by the name that package rpc knows
	host     string
}

// fakeCommand is this program's command that is such a process: it is driven over its standard input
// and output, and ends with them.
const fakeCommand = "fake-engine"

type pipes struct {
	io.Reader
	io.WriteCloser
}

// startFake starts a process with one engine.
func startFake(dir string, cpu int) (*fakeEngine, error) {
	all, err := startFakes(dir, cpu, 1)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// startFakes starts a process with several engines, which ends with the first one. The first one is on this machine, the others
// are on other ones.
func startFakes(dir string, cpu, engines int) ([]*fakeEngine, error) {
	command := append(onCPU(cpu), os.Args[0], fakeCommand)
	var all []*fakeEngine
	for i := range engines {
		socket := filepath.Join(dir, fmt.Sprintf("engine%d.sock", i))
		command = append(command, socket)
		all = append(all, &fakeEngine{operator: operatorName(i), host: "unix://" + socket})
	}
	p, client, err := startDriven(command)
	for _, f := range all {
		f.Process, f.client = p, client
	}
	return all, err
}

// startDriven starts a process that is driven over its standard input and output.
func startDriven(command []string) (*rig.Process, *rpc.Client, error) {
	cmd := exec.Command(command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout = w
	p, err := rig.Start(cmd)
	if err != nil {
		return nil, nil, err
	}
	w.Close()
	return p, rpc.NewClient(pipes{out, in}), nil
}

func operatorName(i int) string { return fmt.Sprint("Operator", i) }

// call has the engine do something; see Operator for what there is.
func (f *fakeEngine) call(method string, args, reply any) error {
	if err := f.client.Call(f.operator+"."+method, args, reply); err != nil {
		return fmt.Errorf("fake engine: %s: %w", method, err)
	}
	return nil
}

func (f *fakeEngine) stop() error { return stopDriven(f.Process, f.client) }

func stopDriven(p *rig.Process, client *rpc.Client) error {
	client.Close() // by which it ends
	select {
	case <-p.Exited:
		return nil
	case <-time.After(patience):
		return p.Stop(patience)
	}
}

// fakeMain is the process.
func fakeMain(sockets []string) error {
	server := rpc.NewServer()
	for i, socket := range sockets {
		e, err := enginetest.Start(socket)
		if err != nil {
			return err
		}
		defer e.Close()
		if i == 0 {
			if err := e.RunHere(); err != nil {
				return err
			}
		} else {
			e.AddNetwork("machine", "192.168.0.0/24")
			e.Run(enginetest.Spec{Name: "anchor", NetworkMode: "machine"})
		}
		if err := server.RegisterName(operatorName(i), &Operator{engine: e}); err != nil {
			return err
		}
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout}) // until the parent ends
	return nil
}

// Operator is an engine's operator. Its methods are those that package rpc looks for.
type Operator struct {
	engine   *enginetest.Engine
	first    int  // the number of the first container
	publish  bool // containers' ports
	ids      []string
	churning []string
}

// Nothing is the argument or reply of methods that have none.
type Nothing struct{}

// perNetwork is how many containers share a network.
const perNetwork = 1000

// containerName is that of the i-th container. All have one length, so that answers have.
func containerName(i int) string { return fmt.Sprintf("c%06d", i) }

// spec gives a container six names, none of them another's: container, id, hostname, alias, alias in
// its network, Compose service.
func spec(i int) enginetest.Spec {
	return enginetest.Spec{
		Name: containerName(i), Hostname: fmt.Sprintf("h%06d", i),
		Networks: []enginetest.Attachment{{Network: networkName(i), Aliases: []string{fmt.Sprintf("a%06d", i)}}},
		Labels:   map[string]string{"com.docker.compose.service": fmt.Sprintf("s%d", i%10), "com.docker.compose.project": fmt.Sprintf("p%06d", i/10)},
	}
}

func networkName(i int) string { return fmt.Sprint("net", i/perNetwork) }

// Populate makes n running containers, without events.
func (o *Operator) Populate(n int, _ *Nothing) error {
	for i := 0; i < n; i += perNetwork {
		o.engine.AddNetwork(networkName(i), fmt.Sprintf("10.%d.0.0/16", i/perNetwork))
	}
	o.ids = o.engine.Populate(n, func(i int) enginetest.Spec { return o.spec(o.first + i) })
	return nil
}

// Host is one of several: the number of its first container.
type Host struct{ First, Containers int }

// PopulateHost is Populate for one of several hosts, whose networks are called alike. Ports are published.
func (o *Operator) PopulateHost(h Host, _ *Nothing) error {
	o.first, o.publish = h.First, true
	return o.Populate(h.Containers, nil)
}

// spec is that of the i-th container of all.
func (o *Operator) spec(i int) enginetest.Spec {
	s := spec(i)
	s.Networks[0].Network = networkName(i - o.first)
	if o.publish {
		s.Publish = []string{"0.0.0.0:8080:80/tcp"}
	}
	return s
}

// Run creates and starts one more container, the i-th, in the first network.
func (o *Operator) Run(i int, id *string) error {
	*id = o.engine.Run(o.extra(i))
	return nil
}

func (o *Operator) extra(i int) enginetest.Spec {
	s := o.spec(i)
	s.Networks[0].Network = networkName(0)
	return s
}

// Stop ends a container as docker stop does.
func (o *Operator) Stop(id string, _ *Nothing) error {
	o.engine.Stop(id)
	return nil
}

// Remove removes a container.
func (o *Operator) Remove(id string, _ *Nothing) error {
	o.engine.Remove(id)
	return nil
}

// Lives is a number of containers, one after the other: the first is the From-th.
type Lives struct {
	From, Number int
	Lasts        time.Duration // each
}

// Live has containers start, stop and be removed.
func (o *Operator) Live(l Lives, _ *Nothing) error {
	for i := range l.Number {
		id := o.engine.Run(o.extra(l.From + i))
		time.Sleep(l.Lasts)
		o.engine.Stop(id)
		o.engine.Remove(id)
	}
	return nil
}

// RenameSilently gives the first n containers other names, of which no event tells.
func (o *Operator) RenameSilently(n int, _ *Nothing) error {
	o.engine.DropEvents(true)
	defer o.engine.DropEvents(false)
	for i, id := range o.ids[:n] {
		o.engine.Rename(id, "renamed-"+containerName(i))
	}
	return nil
}

// Churn is how containers change for a while.
type Churn struct {
	From, Number int // the containers, which are made for it the first time
	PerSecond    int
	Lasts        time.Duration
}

// Churn starts and stops the containers in turn, and replies how many changes there were.
func (o *Operator) Churn(c Churn, changes *int) error {
	for i := len(o.churning); i < c.Number; i++ {
		o.churning = append(o.churning, o.engine.Create(o.extra(c.From+i)))
	}
	interval := time.Second / time.Duration(c.PerSecond)
	for begin := time.Now(); time.Since(begin) < c.Lasts; *changes++ {
		time.Sleep(time.Until(begin.Add(time.Duration(*changes) * interval)))
		id := o.churning[*changes%c.Number]
		if *changes/c.Number%2 == 0 {
			o.engine.Start(id)
		} else {
			o.engine.Stop(id)
		}
	}
	for _, id := range o.churning {
		o.engine.Stop(id)
	}
	return nil
}

// Calls replies how often each kind of call was made since the last time it was asked.
func (o *Operator) Calls(_ Nothing, calls *map[string]int) error {
	*calls = map[string]int{}
	for _, kind := range []string{"ping", "version", "info", "events", "list", "inspect", "networks", "network"} {
		(*calls)[kind] = o.engine.Calls(kind)
	}
	o.engine.ResetCalls()
	return nil
}
