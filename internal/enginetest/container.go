package enginetest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
)

const (
	engineHostname = "engine-host"
	timeFormat     = time.RFC3339Nano
	neverTime      = "0001-01-01T00:00:00Z"
)

// Spec says what to run. Everything may be left out.
type Spec struct {
	Name       string // a name is made up if empty
	Hostname   string // the short id if empty
	Domainname string
	Image      string
	Env        []string
	Labels     map[string]string
	// NetworkMode is "", "bridge", "host", "none", "container:NAME-OR-ID" or a network's name; empty: the first of
	// Networks, else the default network.
	NetworkMode  string
	Networks     []Attachment // besides what NetworkMode says, or with details of that
	Health       string       // "" (no health check), "starting", "healthy", "unhealthy"
	Sysctls      map[string]string
	DNSSearch    []string // as in docker run --dns-search
	StopTimeout  *int     // in seconds, as in the image or --stop-timeout; none is declared if nil
	StopSignal   string   // as in the image or --stop-signal: "SIGHUP", "1"; SIGTERM if empty
	ExposedPorts []string // "80/tcp"
	Publish      []string // as in docker run -p: "127.0.0.1:8080:80/tcp"
}

// Attachment joins a container to a network.
type Attachment struct {
	Network string // name or id
	Aliases []string
	IPv4    string // "": assigned by the network; "none": no address of this family
	IPv6    string // the same
}

// slot is a container's place. Its content is replaced, never changed, so that who has it sees one state.
type slot struct {
	op sync.Mutex // held while a driver changes the container: one change at a time, its events in order

	// guarded by Engine.mu:
	now      *snapshot // nil: removed
	starting *gate     // inspects wait here; nil: not starting
}

// snapshot is a container at one moment. It is not changed once it is in its slot.
type snapshot struct {
	Spec
	id        string
	mode      string // HostConfig.NetworkMode
	imageID   string
	status    container.ContainerState
	exitCode  int
	created   time.Time
	started   time.Time
	finished  time.Time
	endpoints []endpoint // in the order of connection
	exit      *endpoint  // on docker_gwbridge; nil if it has a gateway elsewhere, or needs none
}

// endpoint is a container's place in a network; addresses and id are there while it runs.
type endpoint struct {
	Attachment
	net *network
	id  string
	lease
}

func (c *snapshot) short() string { return c.id[:12] }

func (c *snapshot) running() bool {
	return c.status == container.StateRunning || c.status == container.StatePaused
}

// counted reports whether the engine counts the container as running: Docker does so while it waits to be restarted.
func (c *snapshot) counted() bool { return c.running() || c.status == container.StateRestarting }

func (c *snapshot) endpoint(n *network) *endpoint {
	for i := range c.endpoints {
		if c.endpoints[i].net == n {
			return &c.endpoints[i]
		}
	}
	if c.exit != nil && c.exit.net == n {
		return c.exit
	}
	return nil
}

// gateway is the way out by one of the endpoint's networks' subnets that its container is told of: none where the host has no
// address in it, nor for an internal network from 28 on.
func (e *Engine) gateway(p *endpoint, subnet *pool) string {
	if subnet == nil || !subnet.gateway.IsValid() || p.net.spans() || p.net.Internal && e.flavour == Docker28 {
		return ""
	}
	return subnet.gateway.String()
}

// locked runs f with mu held, and gives it back even when f panics over misuse.
func (e *Engine) locked(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

// hexID makes an id that looks like the engine's, is the same in every run and no other engine's in this process.
func (e *Engine) hexID(kind string, n uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], e.serial)
	binary.BigEndian.PutUint64(b[8:], n)
	sum := sha256.Sum256(append(b[:], kind...))
	return hex.EncodeToString(sum[:])
}

// nextID is to be called with mu held.
func (e *Engine) nextID(kind string) string {
	e.made++
	return e.hexID(kind, e.made)
}

// add makes a container in state created, without events; to be called with mu held.
func (e *Engine) add(s Spec) *slot {
	id := e.nextID("container")
	if s.Name = strings.TrimPrefix(s.Name, "/"); s.Name == "" {
		s.Name = fmt.Sprintf("unnamed_%d", e.made)
	}
	if e.names[s.Name] != nil {
		panic(fmt.Sprintf("enginetest: the name %q is in use", s.Name))
	}
	if s.Image == "" {
		s.Image = "idle:latest"
	}
	s.Labels, s.Networks = maps.Clone(s.Labels), slices.Clone(s.Networks)
	c := &snapshot{Spec: s, id: id, imageID: "sha256:" + e.hexID(s.Image, 0), status: container.StateCreated, created: e.now()}
	e.attach(c)
	if c.Hostname == "" {
		c.Hostname = c.short()
	}
	place := &slot{now: c}
	e.containers[id], e.names[c.Name] = place, place
	e.order = append(e.order, place)
	return place
}

// attach settles the network mode and which networks the container is in.
func (e *Engine) attach(c *snapshot) {
	target, joined := strings.CutPrefix(c.NetworkMode, "container:")
	switch {
	case joined:
		other := e.mustFind(target).now
		c.mode = "container:" + other.id
		if e.flavour != Podman {
			c.Hostname, c.Domainname = other.Hostname, other.Domainname
		}
		return
	case c.NetworkMode == "" && len(c.Networks) > 0:
		c.mode = e.mustFindNetwork(c.Networks[0].Network).Name
	case c.NetworkMode == "" && e.flavour == Docker2010:
		c.mode = "default" // as docker run sends it; from 28 on the daemon translates
	case c.NetworkMode == "":
		c.mode = "bridge"
	default:
		c.mode = c.NetworkMode
	}
	main := c.mode
	if main == "default" || main == "bridge" {
		main = e.flavour.bridge()
	}
	first := e.mustFindNetwork(main)
	if first.Driver == "host" && c.Hostname == "" {
		c.Hostname = engineHostname
	}
	if e.flavour == Podman && first.Driver == "bridge" {
		c.mode = "bridge" // whichever it is
	}
	if !slices.ContainsFunc(c.Networks, func(a Attachment) bool { return e.mustFindNetwork(a.Network) == first }) {
		c.endpoints = append(c.endpoints, endpoint{Attachment: Attachment{Network: first.Name}, net: first})
	}
	for _, a := range c.Networks {
		c.endpoints = append(c.endpoints, endpoint{Attachment: a, net: e.mustFindNetwork(a.Network)})
	}
}

// implicit are an endpoint's names, each once: the first, the aliases, and those that the engine itself adds.
func (c *snapshot) implicit(first string, aliases ...string) (names []string) {
	had := map[string]bool{"": true}
	for _, name := range slices.Concat([]string{first}, aliases, []string{c.short(), c.Hostname}) {
		if !had[name] {
			had[name] = true
			names = append(names, name)
		}
	}
	return names
}

// find is the container by id, name or the beginning of an id; nil: none. To be called with mu held.
func (e *Engine) find(ref string) *slot {
	ref = strings.TrimPrefix(ref, "/")
	if s := e.containers[ref]; s != nil {
		return s
	}
	if s := e.names[ref]; s != nil {
		return s
	}
	if len(ref) >= 64 || ref == "" {
		return nil
	}
	for id, s := range e.containers {
		if strings.HasPrefix(id, ref) {
			return s
		}
	}
	return nil
}

func (e *Engine) mustFind(ref string) *slot {
	s := e.find(ref)
	if s == nil {
		panic(fmt.Sprintf("enginetest: no container %q", ref))
	}
	return s
}

// resolve is the id of the container that ref names, or ref itself.
func (e *Engine) resolve(ref string) string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if s := e.find(ref); s != nil {
		return s.now.id
	}
	return ref
}

// forget takes the container out of the books; to be called with mu held.
func (e *Engine) forget(s *slot) {
	delete(e.containers, s.now.id)
	delete(e.names, s.now.Name)
	s.now = nil
	if e.removed++; e.removed > len(e.order)/2 {
		e.order = slices.DeleteFunc(e.order, func(s *slot) bool { return s.now == nil })
		e.removed = 0
	}
}

// all is every container of one moment, newest first.
func (e *Engine) all() []*snapshot {
	e.mu.RLock()
	defer e.mu.RUnlock()
	list := make([]*snapshot, 0, len(e.order)-e.removed)
	for _, s := range slices.Backward(e.order) {
		if s.now != nil {
			list = append(list, s.now)
		}
	}
	return list
}
