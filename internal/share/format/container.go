package format

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// Container is what a host tells of one of its containers.
type Container struct {
	Facts   *container.Container // nil if they can't be told
	Created bool                 // it has been created, and has not been started yet
	Unread  string               // why the facts can't be told; then ID and Name alone are known
	ID      string
	Name    string
}

// Labels says which labels are told: those whose keys begin with one of the prefixes, or, of a word that begins with "=", are of the
// pattern after that, as [container.MatchesKey] has it. Other tools keep secrets beside what is to be told.
type Labels []string

// told reports whether a label of the key is told.
func (l Labels) told(key string) bool {
	return slices.ContainsFunc(l, func(word string) bool {
		if pattern, whole := strings.CutPrefix(word, "="); whole {
			return container.MatchesKey(pattern, key)
		}
		return strings.HasPrefix(key, word)
	})
}

type containerJSON struct {
	header
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	State       string            `json:"state,omitempty"`  // running if empty; created, or unread
	Unread      string            `json:"unread,omitempty"` // why
	Hostname    string            `json:"hostname,omitempty"`
	Domainname  string            `json:"domainname,omitempty"`
	Image       string            `json:"image,omitempty"`
	Created     time.Time         `json:"created,omitzero"`
	Started     time.Time         `json:"started,omitzero"`
	Labels      map[string]string `json:"labels,omitempty"`
	Untold      []string          `json:"untold_labels,omitempty"` // keys of others
	NetworkMode string            `json:"network_mode,omitempty"`
	Endpoints   []endpointJSON    `json:"endpoints,omitempty"`
	GWBridge    *endpointJSON     `json:"gwbridge,omitempty"`
	IPv6Off     bool              `json:"ipv6_off,omitempty"`
	Search      []string          `json:"search,omitempty"`
	Ports       []portJSON        `json:"ports,omitempty"`
	Paused      bool              `json:"paused,omitempty"`
	Health      string            `json:"health,omitempty"`
	StopSignal  string            `json:"stop_signal,omitempty"`
	StopTimeout float64           `json:"stop_timeout,omitempty"` // seconds, negative if there is no limit
	Stopping    bool              `json:"stopping,omitempty"`
}

type endpointJSON struct {
	ID       string       `json:"id,omitempty"`
	Network  string       `json:"network"`
	Aliases  []string     `json:"aliases,omitempty"`
	Addrs    []netip.Addr `json:"addresses,omitempty"`
	Gateways []netip.Addr `json:"gateways,omitempty"`
}

type portJSON struct {
	Number    uint16           `json:"number"`
	Proto     string           `json:"protocol"`
	Published []netip.AddrPort `json:"published,omitempty"`
	Open      bool             `json:"open,omitempty"`
}

// So many keys, of so many octets at most, are told of labels whose values are not.
const (
	maxUntold    = 64
	maxUntoldKey = 256
)

// The states of a container's document.
const (
	stateCreated = "created"
	stateUnread  = "unread"
)

var healths = named[container.Health]{
	{container.HealthNone, ""}, {container.HealthStarting, "starting"}, {container.Healthy, "healthy"}, {container.Unhealthy, "unhealthy"},
}

// EncodeContainer writes the container's document. Of its labels it has those that are told, but for values of more than
// [MaxLabel]. One that is too large all the same is written as one whose facts can't be told.
func EncodeContainer(c *Container, labels Labels) ([]byte, error) {
	j := containerJSON{header: header{Version}, ID: c.ID, Name: c.Name}
	if c.Facts == nil {
		j.State, j.Unread = stateUnread, shortened(c.Unread)
		return encode(j, MaxContainer)
	}
	j.facts(c.Facts, labels)
	if c.Created {
		j.State = stateCreated
	}
	document, err := encode(j, MaxContainer)
	if err == nil {
		return document, nil
	}
	return encode(containerJSON{header: j.header, ID: j.ID, Name: shortened(j.Name), State: stateUnread, Unread: shortened(err.Error())}, MaxContainer)
}

// shortened keeps a text within what readers take.
func shortened(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "") }

func (j *containerJSON) facts(c *container.Container, labels Labels) {
	j.ID, j.Name = c.ID, c.Name
	j.Hostname, j.Domainname, j.Image, j.Created, j.Started = c.Hostname, c.Domainname, c.Image, c.Created.UTC(), c.Started.UTC()
	j.NetworkMode, j.IPv6Off, j.Search, j.Paused, j.Health = c.NetworkMode, c.IPv6Off, c.Search, c.Paused, healths.word(c.Health)
	j.StopSignal, j.StopTimeout, j.Stopping = c.StopSignal, c.StopTimeout.Seconds(), c.Stopping
	for key, value := range c.Labels {
		if !labels.told(key) || len(key) > MaxLabel || len(value) > MaxLabel {
			if len(key) <= maxUntoldKey {
				j.Untold = append(j.Untold, key)
			}
			continue
		}
		if j.Labels == nil {
			j.Labels = map[string]string{}
		}
		j.Labels[key] = value
	}
	slices.Sort(j.Untold)
	j.Untold = j.Untold[:min(len(j.Untold), maxUntold)]
	for i := range c.Endpoints {
		j.Endpoints = append(j.Endpoints, toEndpoint(&c.Endpoints[i]))
	}
	if c.GWBridge.Network != "" {
		e := toEndpoint(&c.GWBridge)
		j.GWBridge = &e
	}
	for _, p := range c.Ports {
		j.Ports = append(j.Ports, portJSON(p))
	}
}

func toEndpoint(e *container.Endpoint) endpointJSON { return endpointJSON(*e) }

// DecodeContainer reads a container's document.
func DecodeContainer(document []byte) (*Container, error) {
	var j containerJSON
	if err := decode(document, MaxContainer, &j); err != nil {
		return nil, err
	}
	var c checks
	if !isID(j.ID) {
		c.fail("its ID %.80q is none", j.ID)
	}
	c.text("a text", j.Name, j.Unread, j.Hostname, j.Domainname, j.Image, j.NetworkMode, j.StopSignal)
	known := &Container{ID: j.ID, Name: j.Name}
	switch j.State {
	case stateUnread:
		known.Unread = cmp.Or(j.Unread, "its host does not say why")
		return known, c.err
	case "", stateCreated:
		known.Created = j.State == stateCreated
	default:
		c.fail("its state %q is not known", j.State)
	}
	known.Facts = j.container(&c)
	return known, c.err
}

func (j *containerJSON) container(c *checks) *container.Container {
	if j.Name == "" {
		c.fail("it has no name")
	}
	facts := &container.Container{
		ID: j.ID, Name: j.Name, Hostname: j.Hostname, Domainname: j.Domainname, Image: j.Image, Created: j.Created, Started: j.Started,
		Labels: j.Labels, Untold: j.Untold, NetworkMode: j.NetworkMode, IPv6Off: j.IPv6Off, Search: j.Search, Paused: j.Paused, Health: healths.value(c, "health", j.Health),
		StopSignal: j.StopSignal, Stopping: j.Stopping,
	}
	c.list("labels that are not told", len(j.Untold))
	c.text("a label's key", j.Untold...)
	c.list("domains in its search list", len(j.Search))
	c.text("a domain in its search list", j.Search...)
	const year = 365 * 24 * time.Hour
	if seconds := j.StopTimeout; seconds < -year.Seconds() || seconds > year.Seconds() {
		c.fail("its stop timeout is %v seconds", seconds)
	} else {
		facts.StopTimeout = time.Duration(seconds * float64(time.Second))
	}
	for key, value := range j.Labels {
		if len(key) > MaxLabel || len(value) > MaxLabel {
			c.fail("label %.80q has %d octets, want %d at most", key, len(value), MaxLabel)
		}
	}
	for i := range j.Endpoints {
		facts.Endpoints = append(facts.Endpoints, j.Endpoints[i].endpoint(c))
	}
	slices.SortFunc(facts.Endpoints, func(a, b container.Endpoint) int { return strings.Compare(a.Network, b.Network) })
	if j.GWBridge != nil {
		facts.GWBridge = j.GWBridge.endpoint(c)
	}
	for _, p := range j.Ports {
		if p.Proto != "tcp" && p.Proto != "udp" && p.Proto != "sctp" {
			c.fail("port %d has a protocol that is not known", p.Number)
		}
		if slices.ContainsFunc(p.Published, func(at netip.AddrPort) bool { return !at.IsValid() }) {
			c.fail("port %d is published nowhere", p.Number)
		}
		facts.Ports = append(facts.Ports, container.Port(p))
	}
	return facts
}

func (j *endpointJSON) endpoint(c *checks) container.Endpoint {
	c.text("an endpoint's text", append([]string{j.ID, j.Network}, j.Aliases...)...)
	if j.Network == "" {
		c.fail("an endpoint is on no network")
	}
	families := map[bool]int{}
	for _, ip := range j.Addrs {
		families[ip.Is4()]++
		if !ip.IsGlobalUnicast() || ip.Is4In6() || ip.Zone() != "" || families[ip.Is4()] > 1 {
			c.fail("%s is no address of its on %s, or not the only one", ip, j.Network)
		}
	}
	if slices.ContainsFunc(j.Gateways, func(ip netip.Addr) bool { return !ip.IsValid() }) {
		c.fail("network %s has a gateway that is none", j.Network)
	}
	return container.Endpoint(*j)
}

// isID reports whether the text can be a container's ID.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// Within says why the container can't be on the host, nil if it can: its addresses lie in the host's networks. An
// address elsewhere would be another host's, or nobody's.
func (c *Container) Within(h *Host) error {
	if c.Facts == nil {
		return nil
	}
	subnets := map[string][]netip.Prefix{}
	for i := range h.Facts.Networks {
		n := &h.Facts.Networks[i]
		subnets[n.Name] = append(subnets[n.Name], n.Subnets...)
	}
	for _, e := range c.Facts.Connections() {
		for _, ip := range e.Addrs {
			in := func(p netip.Prefix) bool { return p.Contains(ip) }
			if all, known := subnets[e.Network]; known && len(all) > 0 && !slices.ContainsFunc(all, in) {
				return fmt.Errorf("its address %s is outside of its network %s", ip, e.Network)
			}
		}
	}
	return nil
}
