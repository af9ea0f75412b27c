package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

const (
	// A restarted engine should be found again within a second or so, and one try a
	// second costs nothing.
	firstRetry = 50 * time.Millisecond
	maxRetry   = time.Second
	// Waiting times vary by so much of themselves, so that many who wait don't return at once.
	jitter = 0.3

	// A connection that lasted so long was a good one: after it the back-off starts
	// anew. One that ends sooner may end each time.
	goodConnection = 5 * time.Second

	// An engine that takes longer for a list or info is as good as away.
	callTimeout = 30 * time.Second

	// An engine that answers says sooner who runs, even if thousands have started meanwhile.
	catchUpTime = 2 * time.Second
)

// Watcher watches one engine for any number of sinks.
type Watcher struct {
	endpoint Endpoint
	from     Source
	observer Observer
	dial     func() (api, error)
	// streamAge and jitter are the constants, in tests less.
	streamAge time.Duration
	jitter    float64

	cancel context.CancelFunc
	done   chan struct{}

	connected atomic.Bool
	current   atomic.Bool                   // reconciled since it was connected; set with mu held
	catching  atomic.Pointer[chan struct{}] // while it catches up; see CatchingUp
	count     atomic.Int64                  // running containers
	asked     atomic.Pointer[session]       // of the engine that is connected
	onDemand  atomic.Pointer[refresher]     // of the engine that is connected, if its events are late
	ended     atomic.Int64                  // when the last reconciliation ended in which none failed, in Unix nanoseconds; 0: never
	resync    chan struct{}                 // has an item when the time between two reconciliations has changed
	settled   chan struct{}                 // closed after the first reconciliation or failure
	settle    sync.Once

	mu       sync.Mutex // guards the following
	idle     sync.Cond  // signals that applying has become false
	tracked  map[string]*tracked
	waiting  map[string]*tracked // those that were created and may wait for their first start
	past     past
	sinks    []Sink
	resyncs  []time.Duration // the sinks'
	synced   bool            // the first reconciliation is done
	behind   time.Time       // when it was connected anew and had to catch up, which it has not done yet; else zero
	host     *container.Host // nil before it is known
	applying bool            // somebody is calling sinks; nobody else may
	queue    []delivery
	stirred  []chan struct{} // see Stirs; never changed

	// What Current has told the sinks last. Whoever may call sinks has it.
	sinksCurrent bool
	sinksSince   time.Time
}

func start(e Endpoint, from Source, o Observer, age time.Duration, jitter float64, dial func() (api, error)) *Watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Watcher{
		endpoint: e, from: from, observer: o, dial: dial, streamAge: age, jitter: jitter,
		cancel: cancel, done: make(chan struct{}), settled: make(chan struct{}), resync: make(chan struct{}, 1), sinksSince: time.Now(),
	}
	w.forget()
	w.idle.L = &w.mu
	go func() {
		defer close(w.done)
		w.run(ctx)
	}()
	return w
}

// forget forgets all containers. The caller holds mu, and the sinks know of none.
func (w *Watcher) forget() {
	w.tracked, w.waiting, w.past, w.queue = map[string]*tracked{}, map[string]*tracked{}, nil, nil
	w.count.Store(0)
}

func (w *Watcher) stop() {
	w.cancel()
	<-w.done
}

// Source is the engine's address.
func (w *Watcher) Source() Source { return w.from }

// Current reports whether what the sinks have is what the engine says: it is connected
// and has been reconciled since.
func (w *Watcher) Current() bool { return w.current.Load() }

// Containers is the number of running containers.
func (w *Watcher) Containers() int { return int(w.count.Load()) }

// Empty reports whether no container runs, as far as all of them could be inspected.
func (w *Watcher) Empty() bool { return w.Containers() == 0 && !w.reconciled().IsZero() }

// CatchingUp returns a channel that is closed when the engine has said who runs, or can't be asked any more; nil unless it is
// connected anew, after a time without a connection in which any container may have started. An engine that has not said it
// within catchUpTime hangs, and is waited for no more.
func (w *Watcher) CatchingUp() <-chan struct{} {
	if done := w.catching.Load(); done != nil {
		return *done
	}
	return nil
}

// caughtUp ends what those who catch up wait for.
func (w *Watcher) caughtUp() {
	if done := w.catching.Swap(nil); done != nil {
		close(*done)
	}
}

// Refresh reconciles now, if the engine is one whose events are late. The channel is closed when the
// sinks have all containers that ran at the time of the call, and never if the connection fails.
// It is nil where there is nothing to wait for: events tell as soon, or that would take longer
// than patience.
func (w *Watcher) Refresh(patience time.Duration) <-chan struct{} {
	if r := w.onDemand.Load(); r != nil {
		return r.ask(patience)
	}
	return nil
}

// Settled is closed after the first reconciliation, or the first failure to reach the
// engine.
func (w *Watcher) Settled() <-chan struct{} { return w.settled }

// run keeps a session with the engine, for ever.
func (w *Watcher) run(ctx context.Context) {
	retry := backoff.ExponentialBackOff{
		InitialInterval: firstRetry, RandomizationFactor: w.jitter, Multiplier: 2, MaxInterval: maxRetry,
	}
	retry.Reset()
	for {
		began := time.Now()
		err := w.session(ctx)
		w.connected.Store(false)
		if ctx.Err() != nil {
			return
		}
		w.observer.Disconnected(w.from, err)
		w.settle.Do(func() { close(w.settled) })
		if time.Since(began) > goodConnection {
			retry.Reset()
		}
		wait := retry.NextBackOff()
		var unwelcome unwelcome
		if errors.As(err, &unwelcome) {
			wait = unwelcome.retry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// session subscribes, reconciles, and follows events until something fails.
func (w *Watcher) session(ctx context.Context) error {
	api, err := w.dial()
	if err != nil {
		return err
	}
	defer api.close()
	ctx, fail := context.WithCancelCause(ctx)
	s := &session{
		Watcher: w, api: api, ctx: ctx, calls: newGate(eventCalls), bulk: newGate(bulkCalls),
		networksDue: make(chan struct{}, 1), refresher: newRefresher(),
	}
	defer s.end()
	defer fail(context.Canceled)

	infoCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info, err := api.info(infoCtx)
	if err != nil {
		return err
	}
	events, err := follow(ctx, api, info.now, w.streamAge)
	if err != nil {
		return err
	}
	defer events.stop()
	s.ahead, s.routed, s.late, s.peer, s.id = info.ahead, info.routed, info.quirks.late, info.peer, info.id
	if s.late {
		w.onDemand.Store(s.refresher)
		defer w.onDemand.Store(nil)
	}
	w.mu.Lock()
	if w.synced && w.behind.IsZero() {
		w.behind = time.Now()
	}
	left := catchUpTime - time.Since(w.behind)
	w.mu.Unlock()
	if left > 0 {
		done := make(chan struct{})
		w.catching.Store(&done)
		defer time.AfterFunc(left, w.caughtUp).Stop()
	}
	w.connected.Store(true)
	w.asked.Store(s)
	defer w.asked.Store(nil)
	w.stir()
	s.description = info.description

	s.wg.Go(func() {
		if err := s.reconcile(); err != nil {
			fail(err)
		}
	})
	return s.readEvents(events)
}

// readEvents reads events until there can be no more.
func (s *session) readEvents(events *follower) error {
	for {
		e, err := events.next(s.ctx)
		if err != nil {
			return err
		}
		s.observer.Event(s.from, e.kind, e.Action)
		if e.stirs() {
			s.stir()
		}
		switch {
		case e.aboutSwarm():
		case e.container == "":
			s.markNetworks()
		case !harmless[e.Action]:
			s.event(e)
		}
	}
}

// reconciled returns when a reconciliation has ended last in which no container failed, the zero time before the first.
func (w *Watcher) reconciled() time.Time {
	if at := w.ended.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Subscribe gives the sink all containers, and from then on each change. Resync is the longest time that it wants
// between two periodic reconciliations.
func (w *Watcher) Subscribe(sink Sink, resync time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acquire()
	var all []container.Change
	if w.host != nil { // else all is still to be delivered
		all = w.changes()
	}
	w.sinks = append(slices.Clip(w.sinks), sink)
	w.resyncs = append(w.resyncs, resync)
	w.resyncChanged()
	host, synced := w.host, w.synced
	w.mu.Unlock()
	if host != nil {
		sink.Host(*host)
	}
	sink.Apply(all)
	if synced {
		sink.Synced()
	}
	sink.Current(w.sinksCurrent, w.sinksSince)
	w.mu.Lock()
	w.drain()
}

// Unsubscribe ends the subscription. The sink is not called after it returns.
func (w *Watcher) Unsubscribe(sink Sink) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acquire()
	if i := slices.Index(w.sinks, sink); i >= 0 {
		w.sinks = slices.Delete(slices.Clone(w.sinks), i, i+1)
		w.resyncs = slices.Delete(w.resyncs, i, i+1)
		w.resyncChanged()
	}
	w.drain()
}
