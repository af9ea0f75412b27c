package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"
)

// policy is what an engine does with the calls of one kind as they come.
type policy int

const (
	hold   policy = iota // the schedule answers them, if ever
	answer               // as soon as nothing else goes on, with what is true
	refuse               // likewise, with an error
)

func (p policy) String() string { return [...]string{"hold", "answer", "refuse"}[p] }

// modelCall is a call that the engine has not answered.
type modelCall struct {
	ctx   context.Context // its caller's
	kind  string
	of    *modelContainer // of inspect
	since time.Time       // of events
	taken *modelAnswer    // what was true when it was looked at
	reply chan *modelAnswer
}

func (c *modelCall) String() string {
	if c.of == nil {
		return c.kind
	}
	return c.kind + " " + c.of.id
}

type modelAnswer struct {
	at       time.Time
	err      error
	info     info
	networks []container.Network
	list     []tracker.Summary
	stream   *modelStream
	state    tracker.Answer
	run      int // of state
}

// look returns what is true, nil while the container is locked.
func (e *modelEngine) look(call *modelCall) *modelAnswer {
	a := &modelAnswer{at: e.clock()}
	switch call.kind {
	case "info":
		a.info = info{description: "model", now: a.at, routed: true}
		return a
	case "networks":
		for i := range e.networks {
			a.networks = append(a.networks, container.Network{ID: fmt.Sprint(i)})
		}
		return a
	case "list":
		for _, c := range e.containers {
			if c.running {
				s := tracker.Summary{ID: c.id, Name: c.facts.Name, Paused: c.paused, Health: c.health, Endpoints: slices.Clone(c.facts.Endpoints)}
				for i := range s.Endpoints {
					if !e.podman {
						s.Endpoints[i].Aliases = nil
					}
				}
				a.list = append(a.list, s)
			}
		}
		return a
	case "events":
		a.stream = &modelStream{engine: e, ready: make(chan event, 1), broken: make(chan error, 1)}
		for _, ev := range e.log {
			if !ev.At.Before(call.since) {
				a.stream.pending = append(a.stream.pending, ev)
			}
		}
		return a
	}
	c := call.of
	switch {
	case c.locked:
		return nil
	case !c.exists:
		a.state.Gone = true
	case !c.running:
		a.state.Since = c.ended
		if c.run == 0 {
			a.state.Created = &container.Container{ID: c.id, Name: fmt.Sprint(c.id, "-", c.renamed)}
		}
	default:
		facts := *c.facts // never the same twice
		a.state, a.run = tracker.Answer{Facts: &facts, Since: c.started}, c.run
	}
	return a
}

var errModel = errors.New("the engine fails")

// reply answers a call, if somebody still waits for that. Nothing else goes on meanwhile: it is taken.
func (e *modelEngine) reply(call *modelCall, a *modelAnswer) {
	i := slices.Index(e.calls, call)
	if i < 0 || call.ctx.Err() != nil {
		return
	}
	e.calls = slices.Delete(e.calls, i, i+1)
	switch {
	case call.kind == "list" && a.err == nil:
		e.listed++
		e.lastList = time.Now()
		for _, c := range e.containers {
			c.found(a.at)
		}
	case call.kind == "networks" && a.err == nil:
		e.found(a.at)
	case call.kind == "info" && a.err == nil:
		e.told = a.info.now
	case call.kind == "events" && a.err == nil:
		e.replace(a.stream)
	case call.kind == "inspect":
		call.of.asking--
		if a.err != nil {
			e.unanswered(call)
		} else {
			call.of.told, call.of.toldRun, call.of.recovered = a.state.Facts, a.run, call.of.lasts()
			if a.state.Facts != nil { // which the watcher gets as its own
				facts := *a.state.Facts
				call.of.told = &facts
			}
			e.expect(call.of)
		}
	}
	call.reply <- a
}

// replace has a new stream read. Whatever the one before did not bring must come, but for
// what has been overtaken by later events.
func (e *modelEngine) replace(s *modelStream) {
	if e.stream != nil {
		for _, ev := range e.stream.pending {
			if slices.Contains(s.pending, ev) {
				continue
			}
			e.lose(ev)
			if !ev.At.Before(e.told) {
				e.breaks("%s is not asked for", ev)
			}
		}
	}
	e.stream = s
}

func (e *modelEngine) unanswered(call *modelCall) {
	call.of.failures++
	e.failure = true
}

// modelAPI is a connection to the engine.
type modelAPI struct{ *modelEngine }

func (e *modelEngine) dial() (api, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.dials); n > 0 && time.Since(e.dials[n-1]) < firstRetry {
		e.breaks("connected again after %s", time.Since(e.dials[n-1]))
	}
	e.dials = append(e.dials, time.Now())
	if e.policies["dial"] == refuse {
		e.closed++
		return nil, errModel
	}
	return modelAPI{e}, nil
}

func (e modelAPI) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed++
	return nil
}

// ask makes a call, which ends with its context.
func (e modelAPI) ask(ctx context.Context, call *modelCall) *modelAnswer {
	call.ctx, call.reply = ctx, make(chan *modelAnswer, 1)
	e.mu.Lock()
	e.note(call)
	e.calls = append(e.calls, call)
	slices.SortStableFunc(e.calls, func(a, b *modelCall) int { return cmp.Compare(a.String(), b.String()) }) // together they come in any order
	e.mu.Unlock()
	select {
	case e.asked <- struct{}{}:
	default: // is noted already
	}
	select {
	case a := <-call.reply:
		return a
	case <-ctx.Done():
		e.mu.Lock()
		defer e.mu.Unlock()
		e.calls = slices.DeleteFunc(e.calls, func(c *modelCall) bool { return c == call })
		if call.kind == "inspect" {
			call.of.asking--
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				e.unanswered(call)
			}
		}
		return &modelAnswer{err: ctx.Err()}
	}
}

// answerOne answers the first call that its policy has answered, and reports whether there was one.
func (e *modelEngine) answerOne() bool {
	for _, call := range e.calls {
		switch e.policies[call.kind] {
		case answer:
			if a := e.look(call); a != nil {
				e.reply(call, a)
				return true
			}
		case refuse:
			e.reply(call, &modelAnswer{err: errModel})
			return true
		}
	}
	return false
}

// note counts the call.
func (e modelAPI) note(call *modelCall) {
	switch call.kind {
	case "events":
		e.streams++
	case "list":
		e.lists++
	case "inspect":
		c := call.of
		c.asked = append(c.asked, time.Now())
		if c.asking++; c.asking > 1 {
			e.breaks("%d inspects of %s at a time", c.asking, c.id)
		}
		if n, most := len(c.asked), c.events+e.listed+c.failures; n > most {
			e.breaks("%d inspects of %s for %d events, %d lists, %d failures", n, c.id, c.events, e.listed, c.failures)
		}
	}
}

func (e modelAPI) info(ctx context.Context) (info, error) {
	a := e.ask(ctx, &modelCall{kind: "info"})
	return a.info, a.err
}

func (e modelAPI) networks(ctx context.Context) ([]container.Network, error) {
	a := e.ask(ctx, &modelCall{kind: "networks"})
	return a.networks, a.err
}

func (e modelAPI) events(ctx context.Context, since time.Time) (stream, error) {
	a := e.ask(ctx, &modelCall{kind: "events", since: since})
	return a.stream, a.err
}

func (e modelAPI) list(ctx context.Context) ([]tracker.Summary, error) {
	a := e.ask(ctx, &modelCall{kind: "list"})
	return a.list, a.err
}

func (e modelAPI) inspect(ctx context.Context, id string) (tracker.Answer, error) {
	e.mu.Lock()
	c := e.find(id)
	e.mu.Unlock()
	a := e.ask(ctx, &modelCall{kind: "inspect", of: c})
	return a.state, a.err
}

func (modelAPI) askSwarm(context.Context, Question, []byte) ([]byte, error) { return nil, ErrNoManager }

// modelStream has events that its reader has not got yet, in the order in which they came.
type modelStream struct {
	engine  *modelEngine
	pending []*modelEvent // guarded by the engine's mu, as the following
	reading bool
	ready   chan event
	broken  chan error
}

func (s *modelStream) began() time.Time { return time.Time{} }

func (s *modelStream) next(ctx context.Context) (event, error) {
	e := s.engine
	if ctx.Err() != nil {
		return event{}, context.Cause(ctx)
	}
	e.mu.Lock()
	s.reading = true
	e.pump()
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		s.reading = false
	}()
	select {
	case ev := <-s.ready:
		return ev, nil
	case err := <-s.broken:
		return event{}, err
	case <-ctx.Done():
		return event{}, context.Cause(ctx)
	}
}
