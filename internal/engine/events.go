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
)

// events asks for all that came since the given moment, and not just from now on:
// Docker answers before it has subscribed us.
func (d *docker) events(ctx context.Context, since time.Time) (_ stream, err error) {
	defer d.timed("events", time.Now(), &err)
	// The client tells that the stream has begun even if the engine has refused it: what it has taken decides. It
	// finds an end where the stream is, and so leaves it to us.
	t := &taken{}
	about := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("type", string(events.NetworkEventType)))
	if !d.podman {
		for _, action := range wanted {
			about.Add("event", action)
		}
	}
	_, errs := d.client.Events(context.WithValue(ctx, takeIn{}, t), events.ListOptions{
		Since:   fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()),
		Filters: about,
	})
	if err = <-errs; !errors.Is(err, io.EOF) || t.body == nil {
		t.close()
		return nil, allowed("/events", cmp.Or(err, io.ErrUnexpectedEOF))
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

// fromMessage reads the container's ID from an event. A network's event has it in
// its attributes; Podman's has it as the actor instead, and the network's name as another one.
func fromMessage(m events.Message) event {
	action, _, _ := strings.Cut(string(m.Action), ":") // "exec_start: COMMAND", "health_status: healthy"
	e := event{kind: string(m.Type), action: action}
	if m.TimeNano != 0 { // it may stand after more than is read of an event
		e.at = time.Unix(0, m.TimeNano)
	}
	switch m.Type {
	case events.ContainerEventType:
		e.container, e.signal = m.Actor.ID, m.Actor.Attributes["signal"]
	case events.NetworkEventType:
		if m.Action == events.ActionConnect || m.Action == events.ActionDisconnect {
			e.container, e.network = cmp.Or(m.Actor.Attributes["container"], m.Actor.ID), cmp.Or(m.Actor.Attributes["network"], m.Actor.Attributes["name"])
		}
	}
	if !isID(e.container) {
		e.container = ""
	}
	return e
}
