package engine

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// In this file stands what Podman's Docker-compatible service does otherwise than Docker, as of version 5.4. Besides, its
// endpoints have no IDs, in return for which its list has their aliases: [tracker.Summary.Matches] compares what there is.

// quirks is how an engine differs from Docker, whose is the zero value.
type quirks struct {
	// late is set if events tell of a change only some time after its command has returned. Then reconciliations begin on
	// demand, by a refresher, and an end is no reason to ask nothing more.
	late bool
	// allEvents is set if the engine can't be asked for the wanted actions alone.
	allEvents bool
	// libpod is set if none of its networks spans hosts, and what they reach of each other stands in a list of its own.
	libpod bool
}

// podman reads its events back from a file that it looks into four times a second; from systemd's journal they come no
// sooner.
var podman = quirks{late: true, allEvents: true, libpod: true}

// quirksOf returns those of the engine that has these log drivers. Podman is known by the one that it alone has: its version
// tells too, but takes it half a second, for which it runs other programs.
func quirksOf(logDrivers []string) quirks {
	if slices.Contains(logDrivers, "k8s-file") {
		return podman
	}
	return quirks{}
}

// stableID returns the ID that the engine calls itself by, "" if that is another one each time: Podman makes one up for each call.
func (q quirks) stableID(id string) string {
	if q.libpod || len(id) > maxEngineID {
		return ""
	}
	return id
}

// maxEngineID bounds what an engine may call itself, in octets: Docker's IDs have 36 or 59.
const maxEngineID = 128

// podmanKinds are what those actions mean that Podman calls by another name than Docker.
var podmanKinds = map[string]tracker.Kind{"died": tracker.Ended, "remove": tracker.Removed, "cleanup": tracker.Lessened}

// harmless are the actions that change nothing about a running container's records. Podman tells of them: it has not all
// actions by the names by which it can be asked for them.
var harmless = map[string]bool{
	"exec_create": true, "exec_start": true, "exec_die": true, "exec_detach": true, "exec": true, "exec_died": true,
	"attach": true, "detach": true, "resize": true, "top": true, "copy": true, "archive-path": true,
	"extract-to-dir": true, "export": true, "commit": true,
}

// podmanConnection returns the container's ID and the network's name of an event of a network that a container has joined or left.
// Podman has the container as the actor.
func podmanConnection(a events.Actor) (id, network string) { return a.ID, a.Attributes["network"] }

// podmanNone is written as the gateway of a network in which the host has no address.
const podmanNone = "<nil>"

// isolation is the option isolate of Podman's networks, by ID.
type isolation map[string]string

// isolated reads it from Podman's own list of networks: the other one has no options. It is nil for other engines.
func (d *docker) isolated(ctx context.Context) isolation {
	if !d.quirks.libpod {
		return nil
	}
	began, all := time.Now(), isolation{}
	err := readList(context.WithValue(ctx, insteadOf{}, libpodNetworks), d.listNetworks, func(entry []byte) error {
		var n struct {
			ID      string
			Options struct{ Isolate string }
		}
		err := json.Unmarshal(entry, &n)
		if misfit(err) != nil { // it is none of those that count
			return nil
		}
		all[n.ID] = n.Options.Isolate
		return err
	})
	d.timed("libpod", began, &err)
	if err != nil {
		d.observer.Unreadable(d.from, "/libpod/networks/json", err)
	}
	return all
}

// libpodNetworks is the path of Podman's own list of networks, in the oldest version that has it so.
const libpodNetworks = "/v4.0.0/libpod/networks/json"

// reach returns who reaches the containers' addresses on the network, and what they reach of others: by Podman's rules all
// networks do, but for internal and isolated ones. One of which the option can't be read counts as isolated, as all do that
// are made by Docker's API, unless it is the default network.
func (i isolation) reach(l *listedNetwork) (container.Reach, container.Outbound) {
	option, known := i[l.ID]
	isolate, _ := strconv.ParseBool(option)
	switch {
	case l.Driver != "bridge":
		return container.OnLAN, container.AnyWayOut
	case l.Internal, option == "strict":
		return 0, container.NoWayOut
	case isolate, !known && l.Name != "bridge":
		return container.Forwarded | container.Apart, container.ApartOut
	default:
		return container.Forwarded, container.AnyWayOut
	}
}

// whoRuns is what a list is to have. Without a filter Podman (5.4) leaves out who is paused, and Docker has in it who
// waits to be restarted.
var whoRuns = filters.NewArgs(filters.Arg("status", dockercontainer.StateRunning), filters.Arg("status", dockercontainer.StatePaused))

// statusStopping is the status that Podman gives a container from its stop signal to its end, in which
// it counts it as not running any more, and leaves it out of the list. No event tells of it.
const statusStopping = "stopping"

// vanished reports whether a failed inspect says that there is no such container. Podman answers so
// with 500 at the moment of the removal: it has found the container's name, and then no more the container.
func vanished(err error) bool {
	return errdefs.IsInternal(err) && strings.HasSuffix(err.Error(), "no such container")
}

// refreshRest times what the last reconciliation cost is the pause before the next one on demand: questions for names that do not
// exist keep the engine busy for at most a fifth of the time.
const refreshRest = 4

// refresher begins reconciliations for those who can't wait for an event.
type refresher struct {
	due chan struct{} // has an item when a reconciliation is asked for

	mu    sync.Mutex    // guards the following
	next  chan struct{} // closed when the reconciliation that begins next has ended; nil if nobody waits for it
	asked time.Time     // when next was made
	began time.Time     // when the one under way began; zero if none is
	cost  time.Duration // of the last one
	rest  time.Time     // when the next may begin
}

func newRefresher() *refresher { return &refresher{due: make(chan struct{}, 1)} }

// ask is [Watcher.Refresh].
func (r *refresher) ask(patience time.Duration) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		if time.Since(r.asked) > patience { // the engine hangs
			return nil
		}
		return r.next
	}
	wait := max(0, time.Until(r.rest))
	if wait > 0 && wait+r.cost > patience || !r.began.IsZero() && time.Since(r.began) > patience {
		return nil
	}
	r.next, r.asked = make(chan struct{}), time.Now()
	time.AfterFunc(wait, func() {
		select {
		case r.due <- struct{}{}:
		default: // somebody's is due already, and not begun
		}
	})
	return r.next
}

// begin notes that a reconciliation begins, and returns what waits for it.
func (r *refresher) begin() (request chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	request, r.next, r.began = r.next, nil, time.Now()
	return request
}

// listed notes that the engine has answered with a list.
func (r *refresher) listed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spent(time.Since(r.began))
}

// spent begins the pause after a reconciliation of this cost.
func (r *refresher) spent(cost time.Duration) {
	r.cost, r.rest = cost, time.Now().Add(refreshRest*cost)
}

// end notes that the reconciliation for which these have waited has ended.
func (r *refresher) end(request chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Inspects that take longer than slowCall wait for a lock, which costs nothing.
	r.spent(max(r.cost, min(time.Since(r.began), slowCall)))
	r.began = time.Time{}
	if request != nil {
		close(request)
	}
}
