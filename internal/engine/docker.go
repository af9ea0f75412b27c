package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/tlsconfig"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// api is what the watcher asks of an engine. The calls only read.
type api interface {
	// info returns what the engine says of itself.
	info(context.Context) (info, error)
	// networks returns the engine's networks, by ID.
	networks(context.Context) ([]container.Network, error)
	// events returns the events since the given time of the engine's clock, from now on if that is zero. When it
	// returns, the engine notes events for us.
	events(ctx context.Context, since time.Time) (stream, error)
	// list returns the containers whose process runs, paused or not.
	list(context.Context) ([]tracker.Summary, error)
	inspect(ctx context.Context, id string) (tracker.Answer, error)
	// askSwarm is Watcher.Ask.
	askSwarm(ctx context.Context, q Question, room []byte) ([]byte, error)
	close() error
}

// stream is a sequence of events.
type stream interface {
	// next waits for an event. An error is final.
	next(context.Context) (event, error)
	// began returns when the engine has accepted the stream, by its clock to the second, the zero time if it does
	// not say.
	began() time.Time
}

// info is what an engine says of itself.
type info struct {
	description string
	now         time.Time     // its clock; zero if it does not say
	ahead       time.Duration // by so much, as far as is known, its clock is ahead of ours
	routed      bool          // container.Host's
	id          string        // container.Host's Engine
	peer        netip.Addr    // container.Host's
	quirks      quirks
}

// event is one of an engine's events. All that tells it from others stands in it by value, but for what it tells about
// its container.
type event struct {
	kind      string // the engine's: container, network, service or node
	container string // ID; empty if the event concerns no container
	tracker.Event
}

// docker is the api of a Docker Engine or of what speaks like one.
type docker struct {
	client   *client.Client
	from     Source
	observer Observer
	large    chan []byte // has room for one large answer at a time
	quirks   quirks      // info has found them
	gw       gwReader
	// spans says of each network that the last list has, by name, whether it spans hosts; nil before the first.
	spans  atomic.Pointer[map[string]bool]
	tunnel *tunnel // nil unless the engine is reached by SSH
}

// dial returns a client for the endpoint. Each connection gets a new one, since the
// API version is negotiated once: an engine may come back as another version.
func dial(e Endpoint, from Source, o Observer) (api, error) {
	// As many connections as inspects run at once: else each burst makes them anew.
	transport := &http.Transport{MaxIdleConns: eventCalls, MaxIdleConnsPerHost: eventCalls, IdleConnTimeout: 30 * time.Second}
	if e.TLS {
		var err error
		transport.TLSClientConfig, err = tlsconfig.Client(tlsconfig.Options{
			CAFile: e.CACert, CertFile: e.Cert, KeyFile: e.Key, ExclusiveRootPools: true, InsecureSkipVerify: e.SkipVerify,
		})
		if err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(e.Host, "ssh://") {
		return newDocker(from, o, transport, client.WithHost(e.Host), client.WithVersionFromEnv())
	}
	t, err := newTunnel(e)
	if err != nil {
		return nil, err
	}
	d, err := newDocker(from, o, transport, t.through(transport), client.WithVersionFromEnv())
	if err != nil {
		return nil, err
	}
	d.tunnel = t
	return d, nil
}

// newDocker returns a client that makes its calls through the transport.
func newDocker(from Source, o Observer, transport http.RoundTripper, opts ...client.Opt) (*docker, error) {
	h := &http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}
	c, err := client.NewClientWithOpts(append([]client.Opt{client.WithHTTPClient(h), client.WithAPIVersionNegotiation()}, opts...)...)
	if err != nil {
		return nil, err
	}
	// Only now: the client looks at the transport to learn of TLS. It wraps it into one that traces and counts
	// for OpenTelemetry, which nobody reads here: that is left out.
	h.Transport = taking{transport}
	d := &docker{client: c, from: from, observer: o, large: make(chan []byte, 1), gw: gwReader{turn: make(chan struct{}, 1)}}
	d.large <- nil
	return d, nil
}

func (d *docker) close() error {
	err := d.client.Close()
	if d.tunnel != nil {
		d.tunnel.close()
	}
	return err
}

// timed reports a finished call.
func (d *docker) timed(name string, start time.Time, err *error) {
	d.observer.Call(d.from, name, time.Since(start), *err)
}

// misfit returns the error if it says only that something has another type than it should, and so was left out. All
// else was read.
func misfit(err error) *json.UnmarshalTypeError {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return wrong
	}
	return nil
}

// unreadable reports a part of an answer that is done without. Otherwise one malformed network would make the whole engine
// unusable.
func (d *docker) unreadable(call string, wrong *json.UnmarshalTypeError) {
	d.observer.Unreadable(d.from, call, fmt.Errorf("%s is of type %s", cmp.Or(wrong.Field, "an entry"), wrong.Value))
}

func forbidden(err error) bool { return errdefs.IsPermissionDenied(err) || errdefs.IsUnauthorized(err) }

// allowed explains the error of a call that an engine, or a proxy before it, forbids.
func allowed(call string, err error) error {
	if forbidden(err) {
		return fmt.Errorf("GET %s is forbidden there, by the engine or a proxy before it: allow GET and HEAD of /_ping, /info, /events, /networks, /containers/json and /containers/ID/json, in a Swarm also of /networks/docker_gwbridge: %w", call, err)
	}
	return err
}

func (d *docker) info(ctx context.Context) (_ info, err error) {
	began := time.Now()
	defer d.timed("info", began, &err)
	var i struct {
		ID, ServerVersion, OperatingSystem, SystemTime string
		SecurityOptions                                []string
		Plugins                                        struct{ Log []string }
	}
	var peer netip.Addr
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if at, ok := c.Conn.RemoteAddr().(*net.TCPAddr); ok {
			peer = at.AddrPort().Addr().Unmap().WithZone("")
		}
	}})
	err = d.read(traced, func(ctx context.Context) error {
		_, err := d.client.Info(ctx)
		return err
	}, &i)
	if wrong := misfit(err); wrong != nil && wrong.Field != "" {
		d.unreadable("info", wrong)
		err = nil
	}
	if err != nil {
		// The client goes on where it can't ask for the API's version, with one that may be too new.
		if _, refused := d.client.Ping(ctx); forbidden(refused) {
			return info{}, allowed("/_ping", refused)
		}
		return info{}, allowed("/info", err)
	}
	now, timeErr := time.Parse(time.RFC3339Nano, i.SystemTime)
	var ahead time.Duration
	if timeErr == nil {
		ahead = clockAhead(now, began, time.Now())
	} else {
		now = time.Time{}
		d.observer.Unreadable(d.from, "info", errors.New("SystemTime is not a time"))
	}
	d.quirks = quirksOf(i.Plugins.Log)
	return info{
		description: fmt.Sprintf("%s (API %s)", i.ServerVersion, d.client.ClientVersion()),
		now:         now,
		ahead:       ahead,
		peer:        peer,
		routed:      i.OperatingSystem != "Docker Desktop" && !slices.Contains(i.SecurityOptions, "name=rootless"),
		id:          d.quirks.stableID(i.ID),
		quirks:      d.quirks,
	}, nil
}

// clockAhead returns by how much an engine's clock is ahead of ours, that is negative if it is behind. It showed the given time
// at a moment between the two of ours; where that can be by one clock it is taken as one.
func clockAhead(engines, began, ended time.Time) time.Duration {
	return max(0, engines.Sub(ended)) + min(0, engines.Sub(began))
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

func (d *docker) list(ctx context.Context) (_ []tracker.Summary, err error) {
	defer d.timed("list", time.Now(), &err)
	var summaries []tracker.Summary
	err = readList(ctx, func(ctx context.Context) error {
		_, err := d.client.ContainerList(ctx, dockercontainer.ListOptions{Filters: whoRuns})
		return err
	}, func(entry []byte) error {
		var c listed
		err := json.Unmarshal(entry, &c)
		// With a field left out, or all that comes after much else, the entry is still good: it decides only whom
		// to inspect. Else one bad entry would keep all others from us.
		if misfit(err) != nil {
			err = nil
		}
		if err == nil && isID(c.ID) {
			summaries = append(summaries, fromListed(&c))
		}
		return err
	})
	if err != nil {
		return nil, allowed("/containers/json", err)
	}
	d.addExits(ctx, summaries)
	return summaries, nil
}

func fromListed(c *listed) tracker.Summary {
	s := tracker.Summary{ID: c.ID, Paused: c.State == dockercontainer.StatePaused, Endpoints: fromEndpoints(c.NetworkSettings.Networks)}
	for _, name := range c.Names {
		// Links of other containers stand here too: /other/alias.
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			s.Name = name
			break
		}
	}
	switch { // the list has the health in words only: "Up 2 hours (healthy)"
	case strings.Contains(c.Status, "(healthy)"):
		s.Health = container.Healthy
	case strings.Contains(c.Status, "(unhealthy)"):
		s.Health = container.Unhealthy
	case strings.Contains(c.Status, "(health: starting)"):
		s.Health = container.HealthStarting
	}
	return s
}

func (d *docker) inspect(ctx context.Context, id string) (_ tracker.Answer, err error) {
	defer d.timed("inspect", time.Now(), &err)
	var c inspected
	err = d.read(ctx, func(ctx context.Context) error {
		_, err := d.client.ContainerInspect(ctx, id)
		return err
	}, &c)
	switch {
	case errdefs.IsNotFound(err), vanished(err):
		err = nil
		return tracker.Answer{Gone: true}, nil
	case err != nil:
		return tracker.Answer{}, allowed("/containers/ID/json", err)
	case c.ID == "" || c.State == nil || c.Config == nil || c.HostConfig == nil:
		return tracker.Answer{}, errors.New("the engine's answer lacks Id, State, Config or HostConfig")
	case c.ID != id:
		return tracker.Answer{}, fmt.Errorf("the engine answered with container %.12s", c.ID)
	}
	if !c.runs() {
		ended, _ := time.Parse(time.RFC3339Nano, c.State.FinishedAt) // left out or written otherwise: not known
		now := tracker.Answer{Since: ended}
		if c.State.Status == dockercontainer.StateCreated {
			now.Created = c.facts()
		}
		return now, nil
	}
	facts := c.facts()
	facts.GWBridge = d.exit(ctx, facts)
	return tracker.Answer{Facts: facts, Since: facts.Started}, nil
}
