package status

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Container is what is shown of a container. Nothing of its environment is known here, and of its labels their effects alone.
type Container struct {
	Block    string           `json:"block"`
	Kind     string           `json:"kind,omitempty"` // service for a Swarm's, else nothing
	Host     container.HostID `json:"host"`           // of a service what stands for its Swarm
	ID       string           `json:"id"`
	Name     string           `json:"name"`
	Project  string           `json:"project,omitempty"`
	Service  string           `json:"service,omitempty"`
	State    string           `json:"state"`          // running, healthy, unhealthy, health starting, paused, stopping, held, created, ended or unread; of a service its tasks that serve
	Since    time.Time        `json:"since,omitzero"` // its last change, by our clock
	Until    time.Time        `json:"until,omitzero"` // its names are held
	Why      string           `json:"why,omitempty"`  // it has no names, or its facts can't be read
	Networks []Network        `json:"networks"`
	Names    []string         `json:"names"`             // that it asks for and may have
	Refused  []string         `json:"refused,omitempty"` // what it asks for and can't have, with the reasons
	Changes  []Event          `json:"changes"`           // the last ones, the last one last
}

// Network is a network that a container is on.
type Network struct {
	Name      string       `json:"network"`
	Addresses []netip.Addr `json:"addresses"`
	Aliases   []string     `json:"aliases,omitempty"`
}

// Event is a change of a container.
type Event struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Cause string    `json:"cause,omitempty"` // what the engine has told, or "list" for a comparison of all containers
}

func (c Container) key() string { return keyOf(c.Block, string(c.Host), c.Name, c.ID) }
func (c Container) searched() []string {
	texts := append(slices.Clone(c.Names), c.Name, c.ID, c.Project, c.Service, c.State, string(c.Host))
	for _, n := range c.Networks {
		texts = append(texts, n.Name)
		for _, ip := range n.Addresses {
			texts = append(texts, ip.String())
		}
	}
	return texts
}

// ShortID is the container's ID as the Docker CLI prints it.
func (c Container) ShortID() string { return (&container.Container{ID: c.ID}).ShortID() }

// containerOf returns what is shown of a container of the block's.
func containerOf(block string, e *catalog.Explanation) Container {
	c := Container{
		Block: block, Host: e.Host, ID: e.ID, Name: e.Name, State: stateOf(e), Until: e.HeldUntil,
		Networks: []Network{}, Names: []string{}, Changes: []Event{},
	}
	if f := e.Facts; f != nil {
		c.Project, c.Service = naming.Project(f), naming.Service(f)
		for _, on := range f.Connections() {
			c.Networks = append(c.Networks, Network{on.Network, on.Addrs, on.Aliases})
		}
		if len(c.Networks) == 0 {
			c.Networks = append(c.Networks, Network{Name: f.NetworkMode, Addresses: []netip.Addr{}})
		}
		c.Why = leftOut[e.LeftOut]
	}
	if e.Service != nil {
		c.Kind, c.Networks, c.Why = "service", networksOf(e.Service), leftOut[e.LeftOut]
	}
	if e.Unread != nil {
		c.Why = "its facts can't be read: " + e.Unread.Error()
	}
	if e.Entry != nil {
		for _, claim := range e.Entry.Claims {
			if !slices.Contains(c.Names, claim.Name) {
				c.Names = append(c.Names, claim.Name)
			}
		}
	}
	for _, refused := range e.Skipped {
		c.Refused = append(c.Refused, refused.String())
	}
	for _, event := range e.Events {
		c.Changes = append(c.Changes, Event{event.At, happened[event.What], event.Cause})
		c.Since = event.At
	}
	return c
}

// leftOut says why a container has no names although it runs.
var leftOut = map[naming.LeftOut]string{
	naming.NotOptedIn: "opt_in is set, and its label does not ask for names",
	naming.Disabled:   "its label says that it is to have none",
	naming.Filtered:   "the Corefile's filters don't let it in",
	naming.NoName:     "no source gives it a name that DNS can hold",
}

// happened says what has happened to a container.
var happened = map[catalog.What]string{
	catalog.Created:         "created",
	catalog.Runs:            "runs",
	catalog.Changed:         "changed",
	catalog.Ended:           "ended",
	catalog.Removed:         "removed",
	catalog.Unread:          "can't be read",
	catalog.NetworkChanged:  "a network has changed",
	catalog.ProviderChanged: "the container whose network it uses has changed",
	catalog.HoldOver:        "its names are held no more",
	catalog.TakenOver:       "another container has taken its names over",
	catalog.SuccessorGone:   "its names have gone: who was to take them over did not start",
}

// stateOf says how a container is.
func stateOf(e *catalog.Explanation) string {
	f := e.Facts
	switch {
	case e.Service != nil:
		return tasksOf(e.Service)
	case f == nil && e.Entry != nil:
		return "held"
	case f == nil && len(e.Events) > 0 && e.Events[len(e.Events)-1].What == catalog.Created:
		return "created"
	case f == nil && e.Unread != nil:
		return "unread"
	case f == nil:
		return "ended"
	case f.Stopping:
		return "stopping"
	case f.Paused:
		return "paused"
	case f.Health == container.Unhealthy:
		return "unhealthy"
	case f.Health == container.Healthy:
		return "healthy"
	case f.Health == container.HealthStarting:
		return "health starting"
	default:
		return "running"
	}
}

// ContainerPage is what the route /containers shows.
type ContainerPage = page[Container]

func (s *Server) containerTable(r *http.Request) (view, error) {
	p, blocks, err := s.asked(r)
	if err != nil {
		return view{}, err
	}
	shown := ContainerPage(pageOf(containers(blocks, func(*catalog.Explanation) bool { return true }), p))
	return view{title: "Containers", json: shown, html: "front", data: func() (any, error) { return s.front(r, p) }, text: func(w io.Writer) error {
		if len(shown.Rows) == 0 {
			_, err := fmt.Fprintln(w, "No containers")
			return err
		}
		t := newTable(w, len(blocks) > 1, "ID", "CONTAINER", "HOST", "STATE", "SINCE", "ADDRESSES", "NAMES")
		for _, c := range shown.Rows {
			t.rowOf(c.Block, c.ShortID(), c.Name, c.on(), c.State, ago(c.Since), strings.Join(c.addresses(), ", "), list(c.namesOrWhy()))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		return shown.more(w, r)
	}}, nil
}

// on is where the container is, or that it is a Swarm's service, which is on all hosts.
func (c *Container) on() string {
	if c.Kind != "" {
		return "swarm"
	}
	return string(c.Host)
}

func (c *Container) addresses() (all []string) {
	for _, n := range c.Networks {
		for _, ip := range n.Addresses {
			all = append(all, ip.String())
		}
	}
	return all
}

func (c *Container) namesOrWhy() []string {
	if len(c.Names) == 0 && c.Why != "" {
		return []string{c.Why}
	}
	return c.Names
}

// containers returns the blocks' containers that are wanted.
func containers(blocks []Block, wanted func(*catalog.Explanation) bool) (rows []Container) {
	for _, b := range blocks {
		key := b.Info().Key
		for e := range b.Containers() {
			if wanted(&e) {
				rows = append(rows, containerOf(key, &e))
			}
		}
	}
	return rows
}

// ContainerDetail is a container with what becomes of its names.
type ContainerDetail struct {
	Container
	Claims []ClaimedName `json:"claims"`
}

// ClaimedName is a name that a container asks for, and what becomes of that where the Docker host asks.
type ClaimedName struct {
	Name    string `json:"name"`
	Answers bool   `json:"answers"`       // the container does, for the name
	Why     string `json:"why,omitempty"` // it does not
}

// Details is what the route /containers/ID shows: several containers may have a name, one after the other or on several hosts.
type Details struct {
	Containers []ContainerDetail `json:"containers"`
}

func (s *Server) container(r *http.Request) (view, error) {
	_, blocks, err := s.asked(r)
	if err != nil {
		return view{}, err
	}
	ref := r.PathValue("id")
	var shown Details
	for _, b := range blocks {
		for _, c := range containers([]Block{b}, func(e *catalog.Explanation) bool {
			return ref == e.ID || ref == e.Name || ref == (&container.Container{ID: e.ID}).ShortID()
		}) {
			claims, err := claims(b, &c)
			if err != nil {
				return view{}, err
			}
			shown.Containers = append(shown.Containers, ContainerDetail{c, claims})
		}
	}
	if len(shown.Containers) == 0 {
		return view{}, problemf(http.StatusNotFound, "No container has the name or ID '%s', or had it lately: /containers lists all", clip(ref))
	}
	return view{title: ref, json: shown, html: "container", text: func(w io.Writer) error {
		for i, c := range shown.Containers {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := c.write(w); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// claims returns what becomes of the container's names.
func claims(b Block, c *Container) ([]ClaimedName, error) {
	all := []ClaimedName{}
	for _, name := range c.Names {
		e, err := b.Explain(Question{Name: name, Type: dns.TypeA})
		if err != nil {
			return nil, err
		}
		claim := ClaimedName{Name: name, Why: "the name has changed hands"}
		for i := range e.Claims {
			if v := &e.Claims[i]; v.Entry.Host == c.Host && v.Entry.ID == c.ID {
				claim.Answers, claim.Why = v.Reason == zone.Answers, e.why(v)
			}
		}
		if c.Kind != "" && slices.ContainsFunc(e.Claims, func(v Claim) bool {
			return v.Reason == zone.Answers && v.Entry.Swarm != nil && v.Entry.Swarm.Service == c.ID
		}) {
			claim.Answers, claim.Why = true, ""
		}
		all = append(all, claim)
	}
	return all, nil
}

// write writes the container for a terminal.
func (c *ContainerDetail) write(w io.Writer) error {
	t := newColumns(w, 1)
	if c.Kind == "" {
		t.row("Container:", c.Name)
	} else {
		t.row("Service:", c.Name)
	}
	t.row("ID:", c.ID)
	t.row("Host:", string(c.Host))
	t.row("Block:", c.Block)
	if c.Project != "" {
		t.row("Compose:", strings.TrimSpace("project "+c.Project+" service "+c.Service))
	}
	state := c.State
	if !c.Since.IsZero() {
		state += ", last change " + moment(c.Since)
	}
	if !c.Until.IsZero() {
		state += ", names are held until " + c.Until.Format(time.TimeOnly)
	}
	t.row("State:", state)
	if c.Why != "" {
		t.row("Without names:", c.Why)
	}
	for i, n := range c.Networks {
		head := "Networks:"
		if i > 0 {
			head = " "
		}
		var addrs []string
		for _, ip := range n.Addresses {
			addrs = append(addrs, ip.String())
		}
		t.row(head, n.Name+" "+strings.Join(addrs, " "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(c.Claims) > 0 {
		fmt.Fprintln(w, "\nNames, as the Docker host gets them:")
		t = newColumns(w, 2)
		for _, claim := range c.Claims {
			t.row(" ", claim.Name, cmp.Or(claim.Why, "answers"))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(c.Refused) > 0 {
		fmt.Fprintln(w, "\nRefused:")
		for _, refused := range c.Refused {
			fmt.Fprintln(w, "  "+inLine(refused))
		}
	}
	fmt.Fprintln(w, "\nLast changes:")
	t = newColumns(w, 2)
	for _, e := range c.Changes {
		t.row(" ", moment(e.At), e.What, e.Cause)
	}
	return t.Flush()
}
