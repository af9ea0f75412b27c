package share

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
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
	prefix   string // of this host's keys
	server   string // tells us from the servers before us
	identity string // of the engine; "" before it is known
	lease    clientv3.LeaseID
	// displaced is set after another server of the same engine has taken the keys over: two that took turns would never end.
	displaced bool
	refused   error            // last told
	known     map[string]known // our keys, below the prefix
}

// known is what is known of a key: what we have put there, and the revision of that.
type known struct {
	value    string
	revision int64
}

// run starts the membership, and returns what ends it.
func (m *Member) run() (stop func(keep bool)) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{Member: m, prefix: m.cfg.Path + "/" + string(m.cfg.Host) + "/", server: rand.Text()}
	reading, writing := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(reading)
		m.read(ctx)
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
	retry := newRetry()
	for {
		began := time.Now()
		err := w.session(ctx)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		w.state.Owned = false
		w.failed(err)
		w.mu.Unlock()
		if errors.Is(err, errRefused) {
			w.refuse(err)
		}
		if time.Since(began) > goodSession {
			retry.Reset()
		}
		if !pause(ctx, retry.NextBackOff()) {
			return
		}
	}
}

// refuse tells once that the name is another's.
func (w *writer) refuse(err error) {
	if (err == nil) != (w.refused == nil) {
		w.observer.Refused(w.cfg.Host, err)
	}
	w.refused = err
}

// awaitFacts waits until the engine has told its containers once, and finds out which engine it is.
func (w *writer) awaitFacts(ctx context.Context) error {
	for {
		id, addrs := w.local.engine()
		if _, known, _ := w.local.wanted(""); known {
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
	client, err := w.cfg.dial()
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
	owner, err := w.acquire(ctx, client)
	if err != nil {
		return err
	}
	w.refuse(nil)
	s := &session{writer: w, client: client, owner: owner}
	if err := s.compare(ctx); err != nil {
		return err
	}
	return s.keep(ctx)
}

// renew has a lease, the one of before if it is still there.
func (w *writer) renew(ctx context.Context, client *clientv3.Client) error {
	call, cancel := bounded(ctx)
	defer cancel()
	if w.lease != 0 {
		if _, err := client.KeepAliveOnce(call, w.lease); !lostLease(err) {
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

// keepAlive renews the lease until that can't be. A call that fails may reach another member the next time.
func (w *writer) keepAlive(ctx context.Context, client *clientv3.Client) error {
	wait := w.cfg.Lease / 3
	for pause(ctx, wait) {
		call, cancel := bounded(ctx)
		_, err := client.KeepAliveOnce(call, w.lease)
		cancel()
		wait = w.cfg.Lease / 3
		if lostLease(err) {
			return err
		}
		if err != nil {
			wait = maxRetry
		}
	}
	return ctx.Err()
}

// acquire takes the host's keys: they are nobody's, or a server's before us of the same engine.
func (w *writer) acquire(ctx context.Context, client *clientv3.Client) (owner string, err error) {
	key := w.prefix + ownerKey
	document, err := format.EncodeOwner(format.Owner{Engine: w.identity, Server: w.server})
	if err != nil {
		return "", err
	}
	owner = string(document)
	call, cancel := bounded(ctx)
	defer cancel()
	r, err := client.Get(call, key)
	if err != nil {
		return "", fmt.Errorf("asking who owns %s: %w", w.prefix, err)
	}
	condition := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	if len(r.Kvs) > 0 {
		kv := r.Kvs[0]
		if string(kv.Value) == owner && clientv3.LeaseID(kv.Lease) == w.lease {
			return owner, nil
		}
		other, err := format.DecodeOwner(kv.Value)
		switch {
		case err != nil:
			return "", fmt.Errorf("%w: %s says who has the name %s, and can't be read: %w", errRefused, key, w.cfg.Host, err)
		case other.Engine != w.identity:
			return "", fmt.Errorf("%w: another host is called %s: its engine is %.80q, and this host's is %.80q", errRefused, w.cfg.Host, other.Engine, w.identity)
		case other.Server != w.server && w.displaced:
			return "", fmt.Errorf("%w: another server tells of this host's engine as %s", errRefused, w.cfg.Host)
		}
		condition = clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)
	}
	put, err := client.Txn(call).If(condition).Then(clientv3.OpPut(key, owner, clientv3.WithLease(w.lease))).Commit()
	switch {
	case err != nil:
		return "", fmt.Errorf("taking %s: %w", w.prefix, err)
	case !put.Succeeded:
		return "", errLost
	}
	w.displaced = false
	return owner, nil
}

// leave takes the host's keys away. They hang on the lease.
func (w *writer) leave() {
	if w.lease == 0 {
		return
	}
	client, err := w.cfg.dial()
	if err != nil {
		return // they go with the lease
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), byeTime)
	defer cancel()
	if _, err := client.Revoke(ctx, w.lease); err != nil && !lostLease(err) {
		w.observer.Written(0, fmt.Errorf("taking %s away: %w", w.prefix, err)) // they go with the lease
	}
}

// session is one with etcd, until something fails.
type session struct {
	*writer
	client *clientv3.Client
	owner  string
}

// compare lists our keys. What we have not put there, or hangs on another lease, counts as something else.
func (s *session) compare(ctx context.Context) error {
	call := clientv3.WithRequireLeader(ctx)
	items, _, err := list(call, s.client, s.prefix, clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	before := s.known
	s.known = make(map[string]known, len(items))
	for _, i := range items {
		key := strings.TrimPrefix(i.key, s.prefix)
		if key == ownerKey {
			continue
		}
		k := before[key]
		if k.revision != i.revision {
			k = known{value: "?", revision: i.revision}
		}
		s.known[key] = k
	}
	return nil
}

// keep keeps the keys what they are to be.
func (s *session) keep(ctx context.Context) error {
	reading, comparing := time.NewTicker(addrsEvery), time.NewTicker(compareEvery)
	defer reading.Stop()
	defer comparing.Stop()
	for {
		if err := s.mend(ctx); err != nil {
			return err
		}
		select {
		case <-s.local.dirty:
		case <-reading.C:
			if !s.local.findAddrs() {
				continue
			}
		case <-comparing.C:
			if err := s.compare(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// mend writes what is not as it is to be.
func (s *session) mend(ctx context.Context) error {
	_, addrs := s.local.engine()
	s.own(addrs)
	wanted, _, err := s.local.wanted(s.identity)
	if err != nil {
		return err
	}
	have := make(map[string]string, len(s.known))
	for key, k := range s.known {
		have[key] = k.value
	}
	for _, ops := range plan(wanted, have) {
		err := s.commit(ctx, ops)
		if noSpace(err) {
			return errors.Join(err, s.withdraw(ctx, wanted, have))
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.state.Owned = true
	s.mu.Unlock()
	return nil
}

// withdraw takes away what is no longer so.
func (s *session) withdraw(ctx context.Context, wanted, have map[string]string) error {
	for key := range have { // what was committed meanwhile
		if have[key] = s.known[key].value; s.known[key].revision == 0 {
			delete(have, key)
		}
	}
	for _, ops := range withdraw(wanted, have, moved) {
		if err := s.commit(ctx, ops); err != nil {
			return err
		}
	}
	return nil
}

// commit makes one transaction, if the keys are ours.
func (s *session) commit(ctx context.Context, ops []op) error {
	requests := make([]clientv3.Op, len(ops))
	for i, o := range ops {
		if requests[i] = clientv3.OpDelete(s.prefix + o.key); !o.deletes() {
			requests[i] = clientv3.OpPut(s.prefix+o.key, o.value, clientv3.WithLease(s.lease))
		}
	}
	call, cancel := bounded(ctx)
	defer cancel()
	r, err := s.client.Txn(call).If(clientv3.Compare(clientv3.Value(s.prefix+ownerKey), "=", s.owner)).Then(requests...).Commit()
	if err == nil && !r.Succeeded {
		s.displaced, err = true, errLost
	}
	s.observer.Written(len(ops), err)
	if err != nil {
		return fmt.Errorf("writing %s: %w", s.prefix, err)
	}
	for _, o := range ops {
		if o.deletes() {
			delete(s.known, o.key)
		} else {
			s.known[o.key] = known{o.value, r.Header.Revision}
		}
	}
	return nil
}
