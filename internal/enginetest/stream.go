package enginetest

import (
	"net/http"
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	timetypes "github.com/docker/docker/api/types/time"
)

// serveEvents sends its headers before it subscribes, as the daemon does: who has the headers may still miss an event.
func (e *Engine) serveEvents(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	accept, err := eventFilter(query.Get("filters"))
	if err != nil {
		e.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	since, err := timestamp(query.Get("since"))
	if err != nil {
		e.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	until, err := timestamp(query.Get("until"))
	if err != nil {
		e.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	var end <-chan time.Time
	if !until.IsZero() {
		end = time.After(until.Sub(e.now()))
	}
	opened := e.events.opened()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = control.Flush()
	in, past := e.subscribe(opened, since, accept)
	defer e.leaveStream(in)
	for {
		var next []byte
		if len(past) > 0 {
			next, past = past[0], past[1:]
		} else {
			select {
			case next = <-in.queue:
			case <-in.cut:
				panic(http.ErrAbortHandler)
			case <-end:
				return
			case <-r.Context().Done():
				return
			}
		}
		if g := e.events.stalled.Load(); g != nil {
			select {
			case <-g.open:
			case <-in.cut:
				panic(http.ErrAbortHandler)
			case <-r.Context().Done():
				return
			}
		}
		if _, err := w.Write(next); err != nil {
			return
		}
		_ = control.Flush()
	}
}

func timestamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	sec, nano, err := timetypes.ParseTimestamps(s, -1)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(sec, nano), nil
}

// eventFilter knows the filters type, event and container, and refuses others rather than to let all through.
func eventFilter(param string) (func(*events.Message) bool, error) {
	f, err := filters.FromJSON(param)
	if err != nil {
		return nil, err
	}
	if err := f.Validate(map[string]bool{"type": true, "event": true, "container": true}); err != nil {
		return nil, err
	}
	return func(m *events.Message) bool {
		action, _, _ := strings.Cut(string(m.Action), ":") // "health_status: healthy" matches both ways
		return f.ExactMatch("type", string(m.Type)) &&
			(f.ExactMatch("event", string(m.Action)) || f.ExactMatch("event", action)) &&
			(!f.Contains("container") || m.Type == events.ContainerEventType && (f.ExactMatch("container", m.Actor.ID) || f.ExactMatch("container", m.Actor.Attributes["name"])))
	}, nil
}
