package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/joint"
)

// askTimeout bounds how long an engine may take for an answer.
const askTimeout = 10 * time.Second

// Engine is one that may be a node of a Swarm, as an engine.Watcher is.
type Engine interface {
	Ask(ctx context.Context, q engine.Question, room []byte) ([]byte, error)
	Stirs() (stirs <-chan struct{}, end func())
	Settled() <-chan struct{}
}

// Member is an engine, and its host.
type Member struct {
	Engine Engine
	Host   container.HostID
	At     string // where it is, for messages
}

// Source tells sinks what Swarms have, of which engines are nodes.
type Source struct {
	members []Member
	warnf   func(format string, args ...any)
	key     string

	cancel  context.CancelFunc
	wg      sync.WaitGroup
	settled chan struct{} // closed when it is synced
	kick    chan struct{} // has an item when the core is to be woken earlier

	readers struct {
		sync.Mutex // guards the following
		tasks      reader[jsonTask]
		services   reader[jsonService]
		nodes      reader[jsonNode]
	}

	mu    sync.Mutex // guards the following, and is held while sinks are called
	core  *core
	wake  time.Time // when the core is to be woken
	sinks []Sink
}

// sources are the running sources. Those who have the same engines share one: so do the server blocks of a Corefile, and so does
// a reloaded configuration with the one before, which then knows all at once even when no manager answers.
var sources joint.Table[string, *Source]

// Watch returns the source of the members, begun if there is none yet. The caller must [Source.Release] it, and keep the members
// until then. Only the first one's warnf is used.
func Watch(members []Member, warnf func(format string, args ...any)) *Source {
	members = slices.SortedFunc(slices.Values(members), func(a, b Member) int { return cmp.Compare(a.At, b.At) })
	var key strings.Builder
	for _, m := range members {
		fmt.Fprintf(&key, "%p %q\n", m.Engine, m.Host)
	}
	return sources.Join(key.String(), func() *Source {
		s := begin(usual, members, warnf)
		s.key = key.String()
		return s
	})
}

// Release ends the use of the source. It returns after the last user's source has ended.
func (s *Source) Release() {
	if sources.Leave(s.key) {
		s.end()
	}
}

func begin(t times, members []Member, warnf func(format string, args ...any)) *Source {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Source{members: members, warnf: warnf, cancel: cancel, settled: make(chan struct{}), kick: make(chan struct{}, 1)}
	var all []*member
	for _, m := range members {
		all = append(all, &member{host: m.Host, at: m.At})
	}
	s.core = newCore(t, all)
	for i, m := range members {
		stirs, end := m.Engine.Stirs()
		s.wg.Go(func() {
			defer end()
			s.hear(ctx, i, stirs)
		})
	}
	s.wg.Go(func() { s.run(ctx) })
	return s
}

func (s *Source) end() {
	s.cancel()
	s.wg.Wait()
}

// Settled is closed when all that can be asked has been asked once.
func (s *Source) Settled() <-chan struct{} { return s.settled }

// run wakes the core when there is something to do.
func (s *Source) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-timer.C:
			s.do(ctx, func(now time.Time) effects { return s.core.wake(now) })
		}
		s.mu.Lock()
		next := s.core.every // if all depends on answers
		if !s.wake.IsZero() {
			next = max(0, time.Until(s.wake))
		}
		s.mu.Unlock()
		timer.Reset(next)
	}
}

// hear tells the core when something may have changed at a member.
func (s *Source) hear(ctx context.Context, i int, stirs <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-stirs:
			s.do(ctx, func(now time.Time) effects { return s.core.stir(i, now) })
		}
	}
}

// do has the core do something, and performs its effects.
func (s *Source) do(ctx context.Context, input func(now time.Time) effects) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	e := input(time.Now())
	s.wake = e.wake
	select {
	case s.kick <- struct{}{}:
	default: // is noted already
	}
	for _, a := range e.asks {
		s.wg.Go(func() {
			got := s.ask(ctx, a)
			s.do(ctx, func(now time.Time) effects { return s.core.answered(a.member, got, now) })
		})
	}
	for _, note := range e.notes {
		s.warnf("%s", note)
	}
	for _, sink := range s.sinks {
		deliver(sink, s.core, &e)
	}
	if e.synced {
		close(s.settled)
	}
}

// deliver tells a sink what has changed.
func deliver(sink Sink, c *core, e *effects) {
	if e.nodes {
		sink.Nodes(c.nodes)
	}
	if len(e.services) > 0 {
		sink.Apply(slices.Clone(e.services))
	}
	if e.attached {
		sink.Attached(c.attached)
	}
	if e.synced {
		sink.Synced()
	}
	for _, state := range e.states {
		sink.Current(state)
	}
}

// Subscribe tells the sink all that is known, and from then on each change.
func (s *Source) Subscribe(sink Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.core.all()
	deliver(sink, s.core, &all)
	s.sinks = append(slices.Clip(s.sinks), sink)
}

// Unsubscribe ends the subscription. The sink is not called after it returns.
func (s *Source) Unsubscribe(sink Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sinks = slices.DeleteFunc(slices.Clone(s.sinks), func(o Sink) bool { return o == sink })
}

// all is what a new sink is told.
func (c *core) all() effects {
	e := effects{nodes: len(c.nodes) > 0, attached: len(c.attached) > 0, synced: c.synced}
	for _, id := range slices.Sorted(maps.Keys(c.swarms)) {
		e.services = append(e.services, changes(nil, c.swarms[id].services)...)
		e.states = append(e.states, c.swarms[id].state(id))
	}
	for _, m := range c.members {
		e.services = append(e.services, changes(nil, m.view.services)...)
	}
	return e
}

// ask asks a member what the core wants to know.
func (s *Source) ask(ctx context.Context, a ask) (got answer) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	engine := s.members[a.member].Engine
	switch a.kind {
	case look:
		select {
		case <-engine.Settled(): // an engine that is not connected yet is not away
			got.about, got.err = about(ctx, engine)
		case <-ctx.Done():
			got.err = ctx.Err()
		}
	case readLists:
		got.lists, got.err = s.lists(ctx, engine, true)
	case readTasks:
		got.lists, got.err = s.lists(ctx, engine, false)
	case readView:
		got.view, got.err = readNetworks(ctx, engine, a.node)
	}
	return got
}

func about(ctx context.Context, e Engine) (info jsonInfo, err error) {
	text, err := e.Ask(ctx, engine.About, nil)
	if err == nil {
		err = decode(text, &info)
	}
	return info, err
}

// rooms are for answers that are read, decoded and forgotten.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// lists reads what a manager knows: all of it, or the tasks alone.
func (s *Source) lists(ctx context.Context, e Engine, all bool) (l lists, err error) {
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	r := &s.readers
	read := func(q engine.Question, decode func(text []byte) error) {
		if err != nil {
			return
		}
		var text []byte
		if text, err = e.Ask(ctx, q, *room); err != nil {
			return
		}
		*room = text
		r.Lock()
		defer r.Unlock()
		err = decode(text)
	}
	read(engine.Tasks, func(text []byte) (err error) { l.tasks, err = r.tasks.read(text); return err })
	if !all {
		return l, err
	}
	read(engine.Services, func(text []byte) (err error) { l.services, err = r.services.read(text); return err })
	read(engine.Nodes, func(text []byte) (err error) { l.nodes, err = r.nodes.read(text); return err })
	return l, err
}

// readNetworks reads what the networks of a worker, whose node's ID is given, tell.
func readNetworks(ctx context.Context, e Engine, node string) (view, error) {
	text, err := e.Ask(ctx, engine.Networks, nil)
	var all, networks []jsonNetwork
	if err == nil {
		err = decode(text, &all)
	}
	if err != nil {
		return view{}, err
	}
	for i := range all {
		if n := &all[i]; n.Scope != "swarm" || n.Ingress || len(networks) == maxNetworks {
			continue
		}
		text, err := e.Ask(ctx, engine.Network(all[i].ID), text)
		var n jsonNetwork
		if err == nil {
			err = decode(text, &n)
		}
		switch {
		case errors.Is(err, engine.ErrGone):
		case err != nil:
			return view{}, err
		default:
			networks = append(networks, n)
		}
	}
	return viewOf(node, networks), nil
}
