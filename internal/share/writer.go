package share

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dockerdiscovery/dockerdiscovery/internal/share/format"
)

const (
	// addrsEvery is how often the host's addresses are read.
	addrsEvery = 5 * time.Second
	// compareEvery is how often our keys are compared with what we have written: somebody may have taken one away.
	compareEvery = time.Minute
	// byeTime bounds how long a server that stops takes to take its keys away. What stays goes with the lease.
	byeTime = 2 * time.Second
	// renewalTimeout bounds a lease's renewal as a session begins. A member passes it on to the leader by a connection of its own, which may
	// stand still for long after it was cut off, while all else goes well: another one may do better.
	renewalTimeout = time.Second
	// goodSession is how long one lasts after which another is tried at once.
	goodSession = 5 * time.Second
)

var (
	errRefused = errors.New("refused")
	errLost    = errors.New("the host's keys have come to be somebody else's")
)

// writer keeps this host's keys what they are to be.
type writer struct {
	*Member
	etcd     gate
	prefix   string // of this host's keys
	server   string // tells us from the servers before us
	identity string // of the engine; "" before it is known
	lease    clientv3.LeaseID
	// displaced is set after another server of the same engine has taken the keys over: two that took turns would never end.
	displaced bool
	// forbidden is set while etcd does not let us write: what we have there may be over, so that the lease is not renewed.
	forbidden bool
	untold    error            // why what this host tells is not written, as told last
	known     map[string]known // our keys, below the prefix
	owning    sync.WaitGroup   // what has this host's addresses be its own
}

// known is what is known of a key: what we have put there, and the revision of that.
type known struct {
	value    string
	revision int64
}

// run starts the membership, and returns what ends it.
func (m *Member) run() (stop func(keep bool)) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{Member: m, etcd: gate{cfg: &m.cfg}, prefix: m.cfg.Path + "/" + string(m.cfg.Host) + "/", server: rand.Text()}
	reading, writing := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(reading)
		if !m.cfg.Deaf {
			m.read(ctx)
		}
	}()
	go func() {
		defer close(writing)
		w.write(ctx)
	}()
	return func(keep bool) {
		cancel()
		<-reading
		<-writing
		if !keep {
			w.leave()
		}
	}
}

// write keeps a session with etcd, for ever.
func (w *writer) write(ctx context.Context) {
	defer w.owning.Wait()
	retry := newRetry()
	for {
		began := time.Now()
		err := w.session(ctx)
		if ctx.Err() != nil {
			return
		}
		w.fail(err)
		if time.Since(began) > goodSession {
			retry.Reset()
		}
		if !pause(ctx, retry.NextBackOff()) {
			return
		}
	}
}

// own has this host's addresses be nobody else's. It does not wait until it is so: while all other hosts are taken the first time, this
// one's containers are to be told.
func (w *writer) own(addrs []netip.Addr) {
	w.mu.Lock()
	same := slices.Equal(w.addrs, addrs)
	w.addrs = addrs
	w.mu.Unlock()
	if same {
		return
	}
	w.owning.Go(func() {
		w.turn.Lock()
		defer w.turn.Unlock()
		w.take(func(now time.Time) []update { return w.fleet.setOwn(w.addrs, now) })
	})
}

// fail notes why a session ended. Where others can't be read either, who reads tells of it.
func (w *writer) fail(err error) {
	w.forbidden = forbids(err)
	w.mu.Lock()
	reached, owned := w.state.Reached, w.state.Owned
	w.state.Owned, w.unwritten, w.unwrittenAt = false, err, time.Now()
	w.mu.Unlock()
	// The next session finds out whose the keys are, and whether another member does better.
	again := errors.Is(err, errLost) || owned && unanswered(err)
	if reached && !again && (w.untold == nil || Cure(err) != Cure(w.untold)) {
		w.untold = err
		w.observer.Told(w.cfg.Host, err)
	}
}

// succeed notes that etcd has what this host tells.
func (w *writer) succeed() {
	w.forbidden = false
	w.mu.Lock()
	w.state.Owned = true
	w.mu.Unlock()
	if w.untold != nil {
		w.untold = nil
		w.observer.Told(w.cfg.Host, nil)
	}
}

// awaitFacts waits until the engine has told its containers once, and finds out which engine it is.
func (w *writer) awaitFacts(ctx context.Context) error {
	for {
		id, addrs := w.local.engine()
		if w.local.known() {
			if w.identity = id; id == "" {
				w.identity = stateIdentity() + " " + string(w.cfg.Host) // a machine may have several
			}
			w.own(addrs)
			return nil
		}
		select {
		case <-w.local.dirty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// session takes the host's keys and keeps them, until something fails.
func (w *writer) session(ctx context.Context) error {
	if err := w.awaitFacts(ctx); err != nil {
		return err
	}
	client, err := w.etcd.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := w.renew(ctx, client); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(context.Canceled)
	go func() { fail(w.keepAlive(ctx, client)) }()
	go func() { fail(untilCut(ctx, client)) }()
	err = w.hold(ctx, client)
	return cmp.Or(context.Cause(ctx), err)
}

// hold takes the host's keys and keeps them.
func (w *writer) hold(ctx context.Context, client *clientv3.Client) error {
	s := &session{writer: w, client: client}
	if err := s.begin(ctx); err != nil {
		return err
	}
	return s.keep(ctx)
}

// renew has a lease, the one of before if it is still there.
func (w *writer) renew(ctx context.Context, client *clientv3.Client) error {
	call, cancel := bounded(ctx)
	defer cancel()
	if w.lease != 0 && w.forbidden {
		if r, err := client.TimeToLive(call, w.lease); err != nil || r.TTL > 0 {
			return err
		}
	} else if w.lease != 0 {
		renewal, cancel := context.WithTimeout(call, renewalTimeout)
		defer cancel()
		if _, err := client.KeepAliveOnce(renewal, w.lease); !lostLease(err) {
			return err
		}
	}
	r, err := client.Grant(call, int64(w.cfg.Lease/time.Second))
	if err != nil {
		return fmt.Errorf("asking for a lease: %w", err)
	}
	w.lease, w.known = r.ID, nil // what hangs on another one goes
	return nil
}

// keepAlive renews the lease until that can't be. Another member may do better then: there is time for that before the lease is over.
func (w *writer) keepAlive(ctx context.Context, client *clientv3.Client) error {
	every := w.cfg.Lease / 3
	for pause(ctx, every) {
		call, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), min(every, callTimeout))
		_, err := client.KeepAliveOnce(call, w.lease)
		cancel()
		if err != nil {
			return fmt.Errorf("renewing the lease: %w", err)
		}
	}
	return ctx.Err()
}

// acquire takes the host's keys: they are nobody's, ours, or a server's before us of the same engine. It returns the revision of the key
// that says so. That is a new one also where they are ours: what was written before, and is still on its way, is not to be done any more.
// Only while etcd takes nothing new, and nothing on its way either, it is the one of before, and not fenced.
func (w *writer) acquire(ctx context.Context, client *clientv3.Client) (revision int64, fenced bool, err error) {
	key := w.prefix + ownerKey
	document, err := format.EncodeOwner(format.Owner{Engine: w.identity, Server: w.server})
	if err != nil {
		return 0, false, err
	}
	owner := string(document)
	call, cancel := bounded(ctx)
	defer cancel()
	r, err := client.Get(call, key)
	if err != nil {
		return 0, false, fmt.Errorf("asking who owns %s: %w", w.prefix, err)
	}
	condition, ours := clientv3.Compare(clientv3.CreateRevision(key), "=", 0), false
	if len(r.Kvs) > 0 {
		kv := r.Kvs[0]
		revision = kv.ModRevision
		condition, ours = clientv3.Compare(clientv3.ModRevision(key), "=", revision), string(kv.Value) == owner && clientv3.LeaseID(kv.Lease) == w.lease
		if err := w.mayTake(kv.Value); err != nil {
			return 0, false, err
		}
	}
	put, err := client.Txn(call).If(condition).Then(clientv3.OpPut(key, owner, clientv3.WithLease(w.lease))).Commit()
	switch {
	case ours && noSpace(err):
		return revision, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("taking %s: %w", w.prefix, err)
	case !put.Succeeded:
		return 0, false, errLost
	}
	w.displaced = false
	return put.Header.Revision, true, nil
}

// mayTake returns an error if the document says that the host's keys are another's.
func (w *writer) mayTake(document []byte) error {
	other, err := format.DecodeOwner(document)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s says who has the name %s, and can't be read: %w", errRefused, w.prefix+ownerKey, w.cfg.Host, err)
	case other.Engine != w.identity:
		return fmt.Errorf("%w: another host is called %s: its engine is %.80q, and this host's is %.80q", errRefused, w.cfg.Host, other.Engine, w.identity)
	case other.Server != w.server && w.displaced:
		return fmt.Errorf("%w: another server tells of this host's engine as %s", errRefused, w.cfg.Host)
	default:
		return nil
	}
}

// leave takes the host's keys away. They hang on the lease, and go with it if that can't be.
func (w *writer) leave() {
	if w.lease == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), byeTime)
	defer cancel()
	err := w.revoke(ctx)
	for err != nil && pause(ctx, firstRetry) {
		err = w.revoke(ctx)
	}
	if err != nil {
		w.observer.Written(0, fmt.Errorf("taking %s away, which goes by itself in %s: %w", w.prefix, w.cfg.Lease, err))
	}
}

// revoke ends the lease, if there is one still.
func (w *writer) revoke(ctx context.Context) error {
	client, err := w.etcd.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err = client.Revoke(ctx, w.lease); lostLease(err) {
		return nil
	}
	return err
}
