package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"
)

// Question is what an engine can be asked about its Swarm.
type Question struct{ call, about string }

// The questions. Services, Tasks and Nodes are for managers.
var (
	About    = Question{call: "info"}     // what the engine is to its Swarm
	Services = Question{call: "services"} // all services
	Tasks    = Question{call: "tasks"}    // those that somebody wants to run
	Nodes    = Question{call: "nodes"}
	Networks = Question{call: "networks"} // that the engine has
)

// Network asks for what the engine hears from the other nodes about a network of its Swarm.
func Network(id string) Question { return Question{"network", id} }

// maxSwarm is what is read of an answer about a Swarm, in octets: some 15,000 tasks.
const maxSwarm = 32 << 20

var (
	// ErrAway says that the engine is not connected.
	ErrAway = errors.New("the engine is not connected")
	// ErrNoManager says that the engine is not a manager of a Swarm now.
	ErrNoManager = errors.New("the engine is no manager of a Swarm")
	// ErrGone says that the engine has not what it was asked about.
	ErrGone = errors.New("the engine has no such network")
)

// Ask returns the engine's answer to a question, as JSON. Its memory is the room's, if that is enough. The error is ErrAway,
// ErrNoManager or ErrGone where that is what it says.
func (w *Watcher) Ask(ctx context.Context, q Question, room []byte) ([]byte, error) {
	s := w.asked.Load()
	if s == nil {
		return nil, ErrAway
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(ErrAway) })()
	return s.api.askSwarm(ctx, q, room)
}

// Stirs returns a channel that has an item when the engine is connected anew, or an event has come that may have to do with its Swarm,
// and what ends that.
func (w *Watcher) Stirs() (stirs <-chan struct{}, end func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stirred = append(slices.Clip(w.stirred), c)
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stirred = slices.DeleteFunc(slices.Clone(w.stirred), func(o chan struct{}) bool { return o == c })
	}
}

// stir tells those who want to know that the Swarm may have changed.
func (w *Watcher) stir() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.stirred {
		select {
		case c <- struct{}{}:
		default: // is noted already
		}
	}
}

// taskLabel is on each task's container.
const taskLabel = "com.docker.swarm.task.id"

// aboutSwarm reports whether the event is about a Swarm, and no container or network.
func (e *event) aboutSwarm() bool {
	return e.kind == string(events.ServiceEventType) || e.kind == string(events.NodeEventType)
}

// stirs reports whether the event may have to do with a Swarm's services: its containers' events alone tell of its tasks.
func (e *event) stirs() bool {
	return e.aboutSwarm() || e.About != nil && e.About.Labels[taskLabel] != ""
}

func (d *docker) askSwarm(ctx context.Context, q Question, room []byte) (_ []byte, err error) {
	defer d.timed(q.call, time.Now(), &err)
	body, err := take(ctx, func(ctx context.Context) error { return d.askFor(ctx, q) })
	switch {
	case err == nil:
	case errdefs.IsUnavailable(err):
		return nil, fmt.Errorf("%w: %w", ErrNoManager, err)
	case errdefs.IsNotFound(err) && q.about != "":
		err = nil
		return nil, ErrGone
	default:
		return nil, allowedSwarm(q, err)
	}
	defer body.Close()
	buf := bytes.NewBuffer(room[:0])
	n, err := buf.ReadFrom(io.LimitReader(body, maxSwarm+1))
	if err == nil && n > maxSwarm {
		err = fmt.Errorf("the engine's answer to GET /%s is larger than %d octets", q.call, maxSwarm)
	}
	return buf.Bytes(), err
}

func (d *docker) askFor(ctx context.Context, q Question) (err error) {
	switch q.call {
	case Services.call:
		_, err = d.client.ServiceList(ctx, dockerswarm.ServiceListOptions{})
	case Tasks.call:
		_, err = d.client.TaskList(ctx, dockerswarm.TaskListOptions{Filters: filters.NewArgs(filters.Arg("desired-state", string(dockerswarm.TaskStateRunning)))})
	case Nodes.call:
		_, err = d.client.NodeList(ctx, dockerswarm.NodeListOptions{})
	case Networks.call:
		err = d.listNetworks(ctx)
	case About.call:
		_, err = d.client.Info(ctx)
	default:
		_, err = d.client.NetworkInspect(ctx, q.about, network.InspectOptions{Verbose: true})
	}
	return err
}

// allowedSwarm explains the error of a call that an engine, or a proxy before it, forbids.
func allowedSwarm(q Question, err error) error {
	if forbidden(err) {
		return fmt.Errorf("GET /%s is forbidden there, by the engine or a proxy before it: for 'swarm' allow GET of /services, /tasks, /nodes and /networks/NAME too: %w", q.call, err)
	}
	return err
}
