package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// api is what the watcher asks of an engine. The calls only read.
type api interface {
	// info returns what the engine says of itself.
	info(context.Context) (info, error)
	// networks returns the engine's networks, by ID.
	networks(context.Context) ([]container.Network, error)
	// events returns the events since the given time of the engine's clock. When it
	// returns, the engine notes events for us.
	events(ctx context.Context, since time.Time) (stream, error)
	// list returns the containers whose process runs, paused or not.
	list(context.Context) ([]summary, error)
	inspect(ctx context.Context, id string) (state, error)
	close() error
}

// stream is a sequence of events.
type stream interface {
	// next waits for an event. An error is final.
	next(context.Context) (event, error)
}

// state is what inspect says of a container.
type state struct {
	facts *container.Container // nil unless it runs
	gone  bool                 // it does not exist
	since time.Time            // when it has started or ended, if known
}

// info is what an engine says of itself.
type info struct {
	description string
	now         time.Time // its clock
	routed      bool      // container.Host's
	late        bool      // events tell of a change only some time after its command has returned
}

// event is a hint that a container may have changed.
type event struct {
	kind, action string
	container    string // ID; empty if the event concerns no container
	network      string // the name, of actions connect and disconnect
	signal       string // of action kill
	at           time.Time
}

// summary is what a list tells of a running container: enough to see whether it has
// changed, too little for its names (no host name, no aliases).
type summary struct {
	id, name  string
	paused    bool
	health    container.Health
	endpoints []container.Endpoint // as in container.Container, maybe without aliases
}

// matches reports whether the list shows nothing that differs from the facts. The
// facts that a list leaves out change only together with one that it has: aliases
// with the endpoint, the host name with the container's ID. (Podman's endpoints have
// no ID; there the address must do, and the aliases, which its list has.)
func (s *summary) matches(c *container.Container) bool {
	return s.name == c.Name && s.paused == c.Paused && s.health == c.Health &&
		slices.EqualFunc(s.endpoints, c.Endpoints, func(a, b container.Endpoint) bool {
			return a.ID == b.ID && a.Network == b.Network && slices.Equal(a.Addrs, b.Addrs) &&
				(a.ID != "" || slices.Equal(a.Aliases, b.Aliases))
		})
}

// docker is the api of a Docker Engine or of what speaks like one.
type docker struct {
	client   *client.Client
	host     string
	observer Observer
}

// dial returns a client for the endpoint. Each connection gets a new one, since the
// API version is negotiated once: an engine may come back as another version.
func dial(e Endpoint, o Observer) (api, error) {
	opts := []client.Opt{
		client.WithHTTPClient(&http.Client{
			CheckRedirect: client.CheckRedirect,
			// As many as inspects run at once: else each burst makes connections anew.
			Transport: &http.Transport{MaxIdleConns: eventCalls, MaxIdleConnsPerHost: eventCalls, IdleConnTimeout: 30 * time.Second},
		}),
		client.WithVersionFromEnv(),
		client.WithAPIVersionNegotiation(),
	}
	if e.Host == "" {
		opts = append(opts, client.WithTLSClientConfigFromEnv())
	}
	opts = append(opts, client.WithHost(e.Address()))
	if e.TLS {
		opts = append(opts, client.WithTLSClientConfig(e.CACert, e.Cert, e.Key))
	}
	return newDocker(e.Address(), o, opts...)
}

func newDocker(host string, o Observer, opts ...client.Opt) (*docker, error) {
	var h *http.Client
	var transport http.RoundTripper
	c, err := client.NewClientWithOpts(append(opts, func(c *client.Client) error {
		h = c.HTTPClient()
		transport = h.Transport
		return client.WithHTTPClient(h)(c)
	})...)
	if err != nil {
		return nil, err
	}
	// Only now: the client looks at the transport to learn of TLS. It wraps it into one that traces and counts
	// for OpenTelemetry, which nobody reads here: that is left out.
	h.Transport = keeping{transport}
	return &docker{c, host, o}, nil
}

func (d *docker) close() error { return d.client.Close() }

// timed reports a finished call.
func (d *docker) timed(name string, start time.Time, err *error) {
	d.observer.Call(name, time.Since(start), *err)
}

// keeping is a transport that keeps the body of a good answer for whoever is named by the request's
// context, and has the client read null instead.
type keeping struct{ http.RoundTripper }

type keepIn struct{} // the context's key of a *bytes.Buffer

func (t keeping) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	body, ok := r.Context().Value(keepIn{}).(*bytes.Buffer)
	if !ok {
		return resp, err
	}
	body.Reset() // of the version's negotiation
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	_, err = body.ReadFrom(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(strings.NewReader("null"))
	return resp, nil
}

// usualAnswer is room for an inspect's, in bytes.
const usualAnswer = 8 << 10

// read makes a call and decodes the answer into what has only the fields that are of use
// here. The client would decode all: that takes longer, and one field that it can't read costs it the whole
// answer.
func (d *docker) read(ctx context.Context, call func(context.Context) error, into any) error {
	body := bytes.NewBuffer(make([]byte, 0, usualAnswer))
	if err := call(context.WithValue(ctx, keepIn{}, body)); err != nil {
		return err
	}
	return json.Unmarshal(body.Bytes(), into)
}

// misfit returns the error if it says that a field has another type than it should, and so was left out. All
// else was read.
func misfit(err error, into any) *json.UnmarshalTypeError {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Type != reflect.TypeOf(into).Elem() {
		return wrong
	}
	return nil
}

// readMost reads what is of use even if some of it has another type than it should, which is left out and
// reported. An engine with one odd network would be as good as away else.
func (d *docker) readMost(ctx context.Context, name string, call func(context.Context) error, into any) error {
	err := d.read(ctx, call, into)
	if wrong := misfit(err, into); wrong != nil {
		d.observer.Unreadable(d.host, name, fmt.Errorf("%s is of type %s", cmp.Or(wrong.Field, "an entry"), wrong.Value))
		return nil
	}
	return err
}

func (d *docker) info(ctx context.Context) (_ info, err error) {
	defer d.timed("info", time.Now(), &err)
	var i struct {
		ServerVersion, OperatingSystem, SystemTime string
		SecurityOptions                            []string
		Plugins                                    struct{ Log []string }
	}
	err = d.readMost(ctx, "info", func(ctx context.Context) error {
		_, err := d.client.Info(ctx)
		return err
	}, &i)
	if err != nil {
		return info{}, err
	}
	now, timeErr := time.Parse(time.RFC3339Nano, i.SystemTime)
	if timeErr != nil {
		// Our clock mostly is the engine's. If it is ahead, events that come while the engine subscribes
		// us may be missed, until the next reconciliation.
		now = time.Now()
		d.observer.Unreadable(d.host, "info", errors.New("SystemTime is not a time"))
	}
	return info{
		description: fmt.Sprintf("%s (API %s)", i.ServerVersion, d.client.ClientVersion()),
		now:         now,
		routed:      i.OperatingSystem != "Docker Desktop" && !slices.Contains(i.SecurityOptions, "name=rootless"),
		// Podman 5.4 reads its events back from a file that it looks into four times a second; from systemd's
		// journal they come no sooner. It is known by the log driver that it alone has: its version tells too,
		// but takes it half a second, for which it runs other programs.
		late: slices.Contains(i.Plugins.Log, "k8s-file"),
	}, nil
}

func (d *docker) networks(ctx context.Context) (_ []container.Network, err error) {
	defer d.timed("networks", time.Now(), &err)
	var list []struct {
		ID           string `json:"Id"`
		Name, Driver string
		IPAM         network.IPAM
		Labels       networkLabels
	}
	err = d.readMost(ctx, "networks", func(ctx context.Context) error {
		_, err := d.client.NetworkList(ctx, network.ListOptions{})
		return err
	}, &list)
	if err != nil {
		return nil, err
	}
	networks := make([]container.Network, 0, len(list))
	for i := range list {
		if list[i].ID == "" {
			continue
		}
		n := container.Network{ID: list[i].ID, Name: list[i].Name, Driver: list[i].Driver, Compose: list[i].Labels.compose(list[i].Name)}
		for _, c := range list[i].IPAM.Config {
			if subnet, err := netip.ParsePrefix(c.Subnet); err == nil {
				n.Subnets = append(n.Subnets, subnet.Masked())
				gateway, err := netip.ParseAddr(c.Gateway)
				if err != nil { // Docker leaves out its own choice: the first address
					gateway = subnet.Masked().Addr().Next()
				}
				if gateway.IsValid() { // the last address of all has no next
					n.Gateways = append(n.Gateways, gateway.WithZone("").Unmap())
				}
			}
		}
		networks = append(networks, n)
	}
	slices.SortFunc(networks, func(a, b container.Network) int { return cmp.Compare(a.ID, b.ID) })
	return networks, nil
}

// events asks for all that came since the given moment, and not just from now on:
// Docker answers before it has subscribed us.
func (d *docker) events(ctx context.Context, since time.Time) (_ stream, err error) {
	defer d.timed("events", time.Now(), &err)
	messages, errs := d.client.Events(ctx, events.ListOptions{
		Since:   fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()),
		Filters: filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("type", string(events.NetworkEventType))),
	})
	select {
	case err = <-errs: // the request failed
		return nil, cmp.Or(err, io.EOF)
	default:
		return &dockerStream{messages, errs}, nil
	}
}

type dockerStream struct {
	messages <-chan events.Message
	errs     <-chan error
}

func (s *dockerStream) next(ctx context.Context) (event, error) {
	select {
	case m := <-s.messages:
		return fromMessage(m), nil
	case err := <-s.errs:
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the engine closed the event stream")
		}
		return event{}, err
	case <-ctx.Done():
		return event{}, context.Cause(ctx)
	}
}

// fromMessage reads the container's ID from an event. A network's event has it in
// its attributes; Podman's has it as the actor instead.
func fromMessage(m events.Message) event {
	action, _, _ := strings.Cut(string(m.Action), ":") // "exec_start: COMMAND", "health_status: healthy"
	e := event{kind: string(m.Type), action: action, at: time.Unix(0, m.TimeNano)}
	switch m.Type {
	case events.ContainerEventType:
		e.container, e.signal = m.Actor.ID, m.Actor.Attributes["signal"]
	case events.NetworkEventType:
		if m.Action == events.ActionConnect || m.Action == events.ActionDisconnect {
			e.container, e.network = cmp.Or(m.Actor.Attributes["container"], m.Actor.ID), m.Actor.Attributes["name"]
		}
	}
	if !isID(e.container) {
		e.container = ""
	}
	return e
}

// isID reports whether the text can be a container's ID, which is 64 hexadecimal digits: at
// least it must be one word that can stand in a URL's path.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// listed is what is of use of an entry in the list of containers.
type listed struct {
	ID              string `json:"Id"`
	Names           []string
	State, Status   string
	NetworkSettings networkSettings
}

// whoRuns is what a list is to have. Without a filter Podman (5.4) leaves out who is paused, and Docker has in it who
// waits to be restarted.
var whoRuns = filters.NewArgs(filters.Arg("status", dockercontainer.StateRunning), filters.Arg("status", dockercontainer.StatePaused))

func (d *docker) list(ctx context.Context) (_ []summary, err error) {
	defer d.timed("list", time.Now(), &err)
	var list []listed
	err = d.read(ctx, func(ctx context.Context) error {
		_, err := d.client.ContainerList(ctx, dockercontainer.ListOptions{Filters: whoRuns})
		return err
	}, &list)
	// With a field left out the list is still good: it decides only whom to inspect. Else one bad entry would
	// keep all others from us.
	if misfit(err, &list) != nil {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	summaries := make([]summary, 0, len(list))
	for i := range list {
		if isID(list[i].ID) {
			summaries = append(summaries, fromListed(&list[i]))
		}
	}
	return summaries, nil
}

func fromListed(c *listed) summary {
	s := summary{id: c.ID, paused: c.State == dockercontainer.StatePaused, endpoints: fromEndpoints(c.NetworkSettings.Networks)}
	for _, name := range c.Names {
		// Links of other containers stand here too: /other/alias.
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			s.name = name
			break
		}
	}
	switch { // the list has the health in words only: "Up 2 hours (healthy)"
	case strings.Contains(c.Status, "(healthy)"):
		s.health = container.Healthy
	case strings.Contains(c.Status, "(unhealthy)"):
		s.health = container.Unhealthy
	case strings.Contains(c.Status, "(health: starting)"):
		s.health = container.HealthStarting
	}
	return s
}

func (d *docker) inspect(ctx context.Context, id string) (_ state, err error) {
	defer d.timed("inspect", time.Now(), &err)
	var c inspected
	err = d.read(ctx, func(ctx context.Context) error {
		_, err := d.client.ContainerInspect(ctx, id)
		return err
	}, &c)
	switch {
	case errdefs.IsNotFound(err), removed(err):
		err = nil
		return state{gone: true}, nil
	case err != nil:
		return state{}, err
	case c.ID == "" || c.State == nil || c.Config == nil || c.HostConfig == nil:
		return state{}, errors.New("the engine's answer lacks Id, State, Config or HostConfig")
	case c.ID != id:
		return state{}, fmt.Errorf("the engine answered with container %.12s", c.ID)
	}
	if !c.runs() {
		ended, _ := time.Parse(time.RFC3339Nano, c.State.FinishedAt) // left out or written otherwise: not known
		return state{since: ended}, nil
	}
	facts := c.facts()
	return state{facts: facts, since: facts.Started}, nil
}

// stopping is the status that Podman 5.4 gives a container from its stop signal to its end, in which
// it counts it as not running any more, and leaves it out of the list. No event tells of it.
const stopping = "stopping"

// removed reports whether a failed inspect says that there is no such container. Podman 5.4 answers so
// with 500 at the moment of the removal: it has found the container's name, and then no more the container.
func removed(err error) bool {
	return errdefs.IsInternal(err) && strings.HasSuffix(err.Error(), "no such container")
}
