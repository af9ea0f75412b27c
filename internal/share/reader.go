package share

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

const (
	// pageSize is how many keys are listed at once: they are of up to 1.5 MiB.
	pageSize = 100
	// pulse is how often etcd is asked whether what the watch has told is all, and silence how long ago it may have been so: a member that
	// hangs, or is cut off from the others, says nothing of its own accord, or that there is nothing new.
	pulse   = time.Second
	silence = 3 * time.Second
)

var errStale = fmt.Errorf("for %s nobody has said that what is known of other hosts is the newest", silence)

// read keeps what is known of others what etcd has, for ever.
func (m *Member) read(ctx context.Context) {
	var doubting sync.WaitGroup
	defer doubting.Wait()
	doubting.Go(func() { m.doubt(ctx) })
	retry, etcd := newRetry(), gate{cfg: &m.cfg}
	for {
		began := time.Now()
		listed, err := m.follow(ctx, &etcd)
		if ctx.Err() != nil {
			return
		}
		if !listed { // else one try may be all that is needed
			m.lost(err)
		}
		m.settleNow()
		if time.Since(began) > goodSession {
			retry.Reset()
		}
		if !pause(ctx, retry.NextBackOff()) {
			return
		}
	}
}

func newRetry() *backoff.ExponentialBackOff {
	retry := &backoff.ExponentialBackOff{InitialInterval: firstRetry, RandomizationFactor: jitter, Multiplier: 2, MaxInterval: maxRetry}
	retry.Reset()
	return retry
}

// pause waits, and reports whether the context stands.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// doubt has what is known count as away when it is stale, and be read anew, unless that is being done.
func (m *Member) doubt(ctx context.Context) {
	for pause(ctx, pulse/2) {
		m.turn.Lock()
		m.mu.Lock()
		stale, anew := m.stale(), m.anew
		m.mu.Unlock()
		if stale {
			m.lose(errStale)
			if anew != nil {
				anew(errStale)
			}
		}
		m.turn.Unlock()
	}
}

// onDoubt has what is known be read anew so when it is stale; nil leaves that to who reads.
func (m *Member) onDoubt(anew context.CancelCauseFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.anew = anew
}

// stale reports whether nobody has said for long that what is known is all. The caller holds mu.
func (m *Member) stale() bool { return m.state.Reached && time.Since(m.fresh) > silence }

// follow lists all keys and watches from there, until that fails. It reports whether all were listed.
func (m *Member) follow(ctx context.Context, etcd *gate) (listed bool, err error) {
	resumed := make(chan struct{}, 1)
	client, err := etcd.connect(ctx, grpc.WithChainStreamInterceptor(noteResumption(resumed)))
	if err != nil {
		return false, err
	}
	defer client.Close()
	ctx, cut := context.WithCancelCause(clientv3.WithRequireLeader(ctx))
	defer cut(nil)
	go func() { cut(untilCut(ctx, client)) }()
	items, known, err := list(ctx, client, m.cfg.Path+"/")
	if err != nil {
		return false, cmp.Or(context.Cause(ctx), err)
	}
	m.found(items, known)
	m.onDoubt(cut)
	defer m.onDoubt(nil)
	m.settleNow()
	watch := client.Watch(ctx, m.cfg.Path+"/", clientv3.WithPrefix(), clientv3.WithRev(known.revision+1), clientv3.WithFragment())
	newest := make(chan mark)
	go m.askForMarks(ctx, client, newest)
	var ahead marks
	for revision := known.revision; ; {
		select {
		case r, open := <-watch:
			switch n := len(r.Events); {
			case !open || r.Err() != nil:
				return true, fmt.Errorf("watching %s/: %w", m.cfg.Path, errors.Join(r.Err(), context.Cause(ctx)))
			case n > 0:
				m.changed(r.Events)
				revision = max(revision, r.Events[n-1].Kv.ModRevision) // there may be more in the next response
			default:
				revision = max(revision, r.Header.Revision)
			}
		case next := <-newest:
			ahead = append(ahead, next)
		case <-resumed:
			return true, errCut
		case <-ctx.Done():
			return true, context.Cause(ctx)
		}
		m.confirm(ahead.pass(revision))
	}
}

// mark is a state of etcd.
type mark struct {
	cluster  uint64
	revision int64
	at       time.Time // it is not older
}

// marks are states of etcd that were the newest when they were asked for, and that the watch has not told of yet. There is one for each
// pulse, so that who is a little behind is known to be no further: were there the newest alone, he would never come up to it.
type marks []mark

// pass drops the states up to the revision, and returns when the last of them was the newest, or the zero time.
func (m *marks) pass(revision int64) (at time.Time) {
	for len(*m) > 0 && (*m)[0].revision <= revision {
		at, *m = (*m)[0].at, (*m)[1:]
	}
	return at
}

// askForMarks asks for the newest state, and the member that is watched which one it has. A majority says what is the newest; the member
// alone would not know.
func (m *Member) askForMarks(ctx context.Context, client *clientv3.Client, newest chan<- mark) {
	for pause(ctx, pulse) {
		at := time.Now()
		call, cancel := context.WithTimeout(ctx, pulse)
		r, err := client.Get(call, m.cfg.Path+"/", clientv3.WithKeysOnly())
		if err == nil {
			select {
			case newest <- mark{revision: r.Header.Revision, at: at}:
			case <-ctx.Done():
			}
			client.RequestProgress(call) // what comes of it, or does not, the watch shows
		}
		cancel()
	}
}

// confirm notes that what is known was all at that time.
func (m *Member) confirm(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh = later(m.fresh, at)
}

// noteResumption notes when the client resumes a watch by itself. What happened meanwhile may be missing: older
// versions of etcd drop a deletion that is as old as what they compact, and say nothing (etcd-io/etcd#18089).
func noteResumption(resumed chan<- struct{}) grpc.StreamClientInterceptor {
	var streams atomic.Int64
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		if method == "/etcdserverpb.Watch/Watch" && streams.Add(1) > 1 {
			select {
			case resumed <- struct{}{}:
			default: // is noted already
			}
		}
		return streamer(ctx, desc, conn, method, options...)
	}
}

// list returns all keys with the prefix in one state.
func list(ctx context.Context, client *clientv3.Client, prefix string, options ...clientv3.OpOption) (items []item, state mark, err error) {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		page := append([]clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(state.revision)}, options...)
		call, cancel := bounded(ctx)
		r, err := client.Get(call, from, page...)
		cancel()
		if err != nil {
			return nil, mark{}, fmt.Errorf("listing %s: %w", prefix, err)
		}
		for _, kv := range r.Kvs {
			items = append(items, toItem(kv))
		}
		if state.revision == 0 {
			state.cluster, state.revision = r.Header.ClusterId, r.Header.Revision
		}
		if !r.More || len(r.Kvs) == 0 {
			return items, state, nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

func toItem(kv *mvccpb.KeyValue) item {
	i := item{key: string(kv.Key), value: kv.Value, revision: kv.ModRevision, created: kv.CreateRevision}
	if i.value == nil {
		i.value = []byte{} // nil is for one that is deleted
	}
	return i
}

// found takes all keys that etcd has.
func (m *Member) found(items []item, state mark) {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.mu.Lock()
	reached := m.state.Reached
	m.state.Reached = true
	m.mu.Unlock()
	if !reached {
		m.observer.Reached(m.cfg.URLs, nil)
	}
	m.take(func(now time.Time) []update { return m.fleet.replace(items, state, now) })
	if !m.known {
		m.known = true
		for to := range m.sinks {
			to.Synced()
		}
	}
	// To list and take 100,000 containers takes longer than the silence. What has happened meanwhile the watch tells from now on.
	m.confirm(time.Now())
}

// changed takes what the watch tells.
func (m *Member) changed(events []*clientv3.Event) {
	items := make([]item, len(events))
	for i, e := range events {
		if items[i] = toItem(e.Kv); e.Type == clientv3.EventTypeDelete {
			items[i].value = nil
		}
	}
	m.turn.Lock()
	defer m.turn.Unlock()
	m.take(func(now time.Time) []update { return m.fleet.apply(items, now) })
}

// lost notes that etcd does not answer.
func (m *Member) lost(err error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	m.lose(err)
}

// lose is lost. The caller holds turn.
func (m *Member) lose(err error) {
	m.mu.Lock()
	m.state.Reached, m.unread, m.unreadAt = false, err, time.Now()
	m.mu.Unlock()
	m.observer.Reached(m.cfg.URLs, err)
	m.take(m.fleet.lost)
}

// take tells what a change of the fleet brings, and of keys that are skipped from now on. The caller holds turn.
func (m *Member) take(change func(now time.Time) []update) {
	m.mu.Lock()
	before := m.skipped()
	updates := change(time.Now())
	after := m.skipped()
	m.mu.Unlock()
	m.tellAll(updates)
	for host, why := range after {
		if before[host] == "" {
			m.observer.Skipped(host, why)
		}
	}
}

// skipped says of each host with keys that are skipped what is wrong with one. The caller holds mu.
func (m *Member) skipped() map[container.HostID]string {
	all := map[container.HostID]string{}
	for host, o := range m.fleet.hosts {
		for key, err := range o.refused {
			all[host] = skippedKey(key, err)
			break
		}
	}
	if _, why := m.fleet.strayKeys(); why != "" {
		all[""] = why
	}
	return all
}

// lostLease reports whether the lease is over.
func lostLease(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }
