// Package share has hosts tell each other through etcd what their containers are.
//
// Told are facts, as an engine tells them, and no records: each server names them by its own rules, and answers each asker as
// it would if it watched all engines itself. A host's keys hang on one lease, and go with it. What is written is level-triggered:
// whatever has been lost, the keys are compared with what they are to be, and mended.
package share

import (
	"net/netip"
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
	"github.com/dockerdiscovery/dockerdiscovery/internal/joint"
)

// Config says where and what a host tells. Two that are equal are one membership.
type Config struct {
	URLs      string        // of etcd's members, separated by spaces
	Path      string        // below which all hosts' keys lie, without a slash at the end
	Lease     time.Duration // after which a host that is silent has left
	TLS       TLS
	User      string
	Password  string           // the file that has it
	Labels    string           // that are told, as format.Labels has them, separated by spaces
	Host      container.HostID // this host's name, in DNS too
	Filters   string           // which of its containers are told, as Told of Join says; "" for all
	Addresses string           // at which it is reached from elsewhere, separated by spaces; found if empty
	Deaf      bool             // it does not listen to others: one process that is many hosts need not know all of them as often
}

// TLS says how etcd is reached, the zero value for a connection without it. The files are read at each connection.
type TLS struct {
	On                bool
	Cert, Key, CACert string // files, "" for none
}

// Watcher tells of this host's containers: an [engine.Watcher].
type Watcher interface {
	Subscribe(engine.Sink, time.Duration)
	Unsubscribe(engine.Sink)
}

// Hosts takes what other hosts tell. Its methods are called one at a time.
type Hosts interface {
	// Host returns what takes the facts of a host that has come. It is given all that the host has before it is current.
	Host(container.HostID) engine.Sink
	// Left is called when a host has left, as a whole: what it told is over.
	Left(container.HostID)
	// Synced is called once, after all has been told that etcd has: who is not known yet may be there before that.
	Synced()
}

// Observer is told what an operator may want to know. Its methods are called from any goroutine and must return soon.
type Observer interface {
	// Reached is called when etcd answers, and when it does not any more; then err says why.
	Reached(at string, err error)
	// Told is called when what this host tells can't be written, while others can be read, with why: its name is another's, or etcd does not
	// let it; and with nil when it is written again.
	Told(host container.HostID, err error)
	// Written is called after each transaction with its number of keys.
	Written(keys int, err error)
	// Skipped is called when keys of a host are skipped where none was before, or of none with host "".
	Skipped(host container.HostID, why string)
}

// Member is a host's membership, which all that have the same Config share: so do the server blocks of a Corefile, and a
// configuration that is loaded anew with the one before.
type Member struct {
	cfg      Config
	watcher  Watcher
	observer Observer

	local   *local
	stop    func(keep bool)
	settled chan struct{}
	settle  sync.Once

	// turn is held while the fleet changes and subscribers are told of it: that all hosts are there takes seconds for ten thousand containers.
	// It is taken before mu, and guards these.
	turn  sync.Mutex
	sinks map[Hosts]map[container.HostID]engine.Sink
	known bool // all has been told once that etcd has

	leaving sync.Map // Hosts that are told nothing more

	mu    sync.Mutex   // guards the following
	fleet *fleet       // changes in turn alone
	addrs []netip.Addr // this host's, which the fleet is to have
	state State
	fresh time.Time   // what is known of others was all then
	anew  func(error) // has it be read anew, nil while it is
	// Why others can't be read, and what this host tells can't be written, last, and since when.
	unread, unwritten     error
	unreadAt, unwrittenAt time.Time
}

// State is what there is to say of a membership now.
type State struct {
	Reached bool  // what is known of others is what etcd has
	Owned   bool  // our keys are there, under our name
	Err     error // why one of these is not so, nil if both are
	ErrAt   time.Time
	Began   time.Time // the membership did
	Others  []Other
	Skipped int // keys that are no host's
	Why     string
}

// Other is another host.
type Other struct {
	Host       container.HostID
	Here       bool // it is a host of the fleet, and not only keys that can't be taken
	Away       bool // what is known of it may be over
	Since      time.Time
	Containers int // that run
	Skipped    int // keys of its that can't be taken
	Why        string
}

type memberKey struct {
	Config
	Watcher
}

var members joint.Table[memberKey, *Member]

// Join returns the membership, begun if there is none. The caller must [Member.Leave] it before it releases the watcher. Only the first
// one's observer is used, and told, which reports whether a container is to be told, and is alike for all with the same Filters; nil
// tells all.
func Join(cfg Config, w Watcher, o Observer, told func(*container.Container) bool) *Member {
	return members.Join(memberKey{cfg, w}, func() *Member { return newMember(cfg, w, o, told) })
}

// Leave ends the use of the membership. With the last one's this host's keys are taken away, unless it is still a member in another way.
func (m *Member) Leave() {
	if !members.Leave(memberKey{m.cfg, m.watcher}) {
		return
	}
	keep := false
	for key := range members.All() {
		keep = keep || key.Host == m.cfg.Host && key.Path == m.cfg.Path
	}
	m.watcher.Unsubscribe(m.local)
	m.stop(keep)
}

// resync is the longest time between two reconciliations of the engine for the sake of other hosts.
const resync = time.Minute

func newMember(cfg Config, w Watcher, o Observer, told func(*container.Container) bool) *Member {
	m := &Member{
		state: State{Began: time.Now()},
		cfg:   cfg, watcher: w, observer: o, local: newLocal(&cfg, told), settled: make(chan struct{}),
		fleet: newFleet(cfg.Path, cfg.Host), sinks: map[Hosts]map[container.HostID]engine.Sink{},
	}
	m.stop = m.run()
	w.Subscribe(m.local, resync)
	return m
}

// Settled is closed when other hosts' facts are known, or etcd has not answered.
func (m *Member) Settled() <-chan struct{} { return m.settled }

func (m *Member) settleNow() { m.settle.Do(func() { close(m.settled) }) }

// Subscribe gives the hosts all that is known of others, and from then on each change.
func (m *Member) Subscribe(to Hosts) {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.sinks[to] = map[container.HostID]engine.Sink{}
	m.tell(to, m.fleet.all())
	if m.known {
		to.Synced()
	}
}

// Unsubscribe ends the subscription. The hosts are not called after it returns.
func (m *Member) Unsubscribe(to Hosts) {
	m.leaving.Store(to, true)
	defer m.leaving.Delete(to)
	m.turn.Lock()
	defer m.turn.Unlock()
	delete(m.sinks, to)
}

// State returns what there is to say of the membership now.
func (m *Member) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	switch {
	case !s.Reached:
		s.Err, s.ErrAt = m.unread, m.unreadAt
	case !s.Owned:
		s.Err, s.ErrAt = m.unwritten, m.unwrittenAt
	}
	s.Others = m.fleet.others()
	s.Skipped, s.Why = m.fleet.strayKeys()
	return s
}

// tellAll tells all subscribers. The caller holds turn.
func (m *Member) tellAll(updates []update) {
	for to := range m.sinks {
		m.tell(to, updates)
	}
}

// tell tells one subscriber, until it leaves. The caller holds turn.
func (m *Member) tell(to Hosts, updates []update) {
	sinks := m.sinks[to]
	for i := range updates {
		if _, leaves := m.leaving.Load(to); leaves {
			return
		}
		u := &updates[i]
		if u.left {
			if sinks[u.host] != nil {
				delete(sinks, u.host)
				to.Left(u.host)
			}
			continue
		}
		sink, came := sinks[u.host], false
		if sink == nil {
			sink, came = to.Host(u.host), true
			sinks[u.host] = sink
		}
		if u.facts != nil {
			sink.Host(*u.facts)
		}
		if len(u.changes) > 0 {
			sink.Apply(u.changes)
		}
		if came {
			sink.Synced()
		}
		if u.presence != nil {
			sink.Current(u.presence.current, u.presence.since)
		}
	}
}
