package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// events asks for all that came since the given moment, if that is known, and not just from now on: Docker answers before it
// has subscribed us.
func (d *docker) events(ctx context.Context, since time.Time) (_ stream, err error) {
	defer d.timed("events", time.Now(), &err)
	// The client tells that the stream has begun even if the engine has refused it: what it has taken decides. It
	// finds an end where the stream is, and so leaves it to us.
	t := &taken{}
	about := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("type", string(events.NetworkEventType)))
	if !d.quirks.libpod {
		about.Add("type", string(events.ServiceEventType))
		about.Add("type", string(events.NodeEventType))
	}
	if !d.quirks.allEvents {
		for _, action := range wanted {
			about.Add("event", action)
		}
	}
	options := events.ListOptions{Filters: about}
	if !since.IsZero() {
		options.Since = fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond())
	}
	_, errs := d.client.Events(context.WithValue(ctx, takeIn{}, t), options)
	if err = <-errs; !errors.Is(err, io.EOF) || t.body == nil {
		t.close()
		return nil, allowed("/events", cmp.Or(t.failed, err, io.ErrUnexpectedEOF))
	}
	context.AfterFunc(ctx, t.close)
	began, _ := http.ParseTime(t.date) // left out or written otherwise: not known
	return &dockerStream{newValues(t.body), began}, nil
}

// dockerStream ends with the context of the call that has begun it.
type dockerStream struct {
	values *values
	at     time.Time
}

func (s *dockerStream) began() time.Time { return s.at }

func (s *dockerStream) next(ctx context.Context) (event, error) {
	text, err := s.values.next()
	var m events.Message
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	switch {
	case err == nil:
		return fromMessage(m), nil
	case ctx.Err() != nil:
		return event{}, context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return event{}, errors.New("the engine closed the event stream")
	default:
		return event{}, err
	}
}

// fromMessage reads what an event tells. A network's event has the container's ID and the network's name in its attributes.
func fromMessage(m events.Message) event {
	action, _, _ := strings.Cut(string(m.Action), ":") // "exec_start: COMMAND", "health_status: healthy"
	e := event{kind: string(m.Type), Event: tracker.Event{Action: action, Kind: kindOf(action)}}
	if m.TimeNano != 0 { // it may stand after more than is read of an event
		e.At = time.Unix(0, m.TimeNano)
	}
	switch m.Type {
	case events.ContainerEventType:
		e.container, e.Signal = m.Actor.ID, m.Actor.Attributes["signal"]
		e.About = about(m.Actor.Attributes)
	case events.NetworkEventType:
		if m.Action == events.ActionConnect || m.Action == events.ActionDisconnect {
			e.container, e.Network = m.Actor.Attributes["container"], m.Actor.Attributes["name"]
			if e.container == "" {
				e.container, e.Network = podmanConnection(m.Actor)
			}
		}
	}
	if !isID(e.container) {
		e.container = ""
	}
	return e
}

// Bounds of what counts of an event's attributes, in octets. What is longer is left out: it would be no name in DNS, and whoever
// may start a container may have them say much.
const (
	maxAboutName   = 255
	maxAboutImage  = 1 << 10
	maxAboutLabels = 64 << 10
)

// about returns what the attributes of a container's event, which it takes, tell of the container: its name, its image, and its
// labels, which stand there beside these.
func about(attributes map[string]string) *tracker.About {
	var a tracker.About
	size := 0
	for key, value := range attributes {
		switch {
		case key == "name" && len(value) <= maxAboutName:
			a.Name = value
		case key == "image" && len(value) <= maxAboutImage:
			a.Image = value
		case key != "name" && key != "image":
			size += len(key) + len(value)
		}
	}
	if a.Name == "" && a.Image == "" && size == 0 {
		return nil
	}
	if size > 0 && size <= maxAboutLabels {
		a.Labels = attributes
		delete(a.Labels, "name")
		delete(a.Labels, "image")
	}
	return &a
}
