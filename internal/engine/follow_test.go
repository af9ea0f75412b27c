package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// steppingAPI gives a stream for each call, whose events a test tells.
type steppingAPI struct {
	api
	since   []time.Time
	streams []*steppingStream
}

type steppingStream struct {
	at     time.Time
	events []event
}

func (s *steppingStream) began() time.Time { return s.at }
func (s *steppingStream) next(ctx context.Context) (event, error) {
	if len(s.events) == 0 {
		<-ctx.Done()
		return event{}, ctx.Err()
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, nil
}

func (a *steppingAPI) events(_ context.Context, since time.Time) (stream, error) {
	s := a.streams[len(a.since)]
	a.since = append(a.since, since)
	return s, nil
}

// The engine's clock is set back by an hour: what came meanwhile is asked for all the same, nothing is given twice, and
// memory stays level.
func TestClockStepsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := func(d time.Duration) event {
			return event{kind: "container", Event: tracker.Event{Action: "x", At: began.Add(d)}}
		}
		storm := &steppingStream{events: []event{at(time.Minute)}}
		for i := range 10 * maxSeen {
			storm.events = append(storm.events, at(-time.Hour+time.Duration(i)*time.Millisecond))
		}
		last := storm.events[len(storm.events)-1]
		n := len(storm.events)
		api := &steppingAPI{streams: []*steppingStream{
			storm,
			{events: []event{last, at(-time.Minute)}, at: last.At}, // it goes on from there, and then nothing comes
			{at: began.Add(-24 * time.Hour)},                       // set back once more: its clock alone tells
			{events: []event{at(-24 * time.Hour)}},
		}}
		f, err := follow(t.Context(), api, began, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer f.stop()
		for i := range n + 2 {
			e, err := f.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(f.seen.events) > maxSeen || len(f.seen.order) > maxSeen {
				t.Fatalf("%d events are remembered", len(f.seen.events))
			}
			if want := []event{at(-time.Minute), at(-24 * time.Hour)}; i >= n && e != want[i-n] {
				t.Errorf("event %v, want %v", e, want[i-n])
			}
		}
		for i, want := range []time.Duration{0, last.At.Sub(began) - overlap, -time.Minute - overlap, -24*time.Hour - overlap} {
			if got := api.since[i].Sub(began); got != want {
				t.Errorf("stream %d begins at %s, want %s", i, got, want)
			}
		}
	})
}
