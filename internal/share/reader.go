package share

import (
	"context"
	"errors"
	"fmt"
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
	// pulse is how often etcd is asked whether the watch is up to date, and silence how long it may take: a member that hangs, or is cut
	// off, says nothing of its own accord.
	pulse   = time.Second
	silence = 3 * time.Second
)

// read keeps what is known of others what etcd has, for ever.
func (m *Member) read(ctx context.Context) {
	retry := newRetry()
	for {
		began := time.Now()
		listed, err := m.follow(ctx)
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

// follow lists all keys and watches from there, until that fails. It reports whether all were listed.
func (m *Member) follow(ctx context.Context) (listed bool, err error) {
	resumed := make(chan struct{}, 1)
	client, err := m.cfg.dial(grpc.WithChainStreamInterceptor(noteResumption(resumed)))
	if err != nil {
		return false, err
	}
	defer client.Close()
	items, revision, err := list(ctx, client, m.cfg.Path+"/")
	if err != nil {
		return false, err
	}
	m.found(items)
	m.settleNow()
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	watch := client.Watch(ctx, m.cfg.Path+"/", clientv3.WithPrefix(), clientv3.WithRev(revision+1), clientv3.WithFragment())
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	heard := time.Now()
	for {
		select {
		case r, open := <-watch:
			if !open || r.Err() != nil {
				return true, fmt.Errorf("watching %s/: %w", m.cfg.Path, errors.Join(r.Err(), ctx.Err()))
			}
			heard = time.Now()
			if len(r.Events) > 0 {
				m.changed(r.Events)
			}
		case <-ticker.C:
			if time.Since(heard) > silence {
				return true, fmt.Errorf("watching %s/: nothing was heard for %s", m.cfg.Path, silence)
			}
			asking, done := context.WithTimeout(ctx, pulse)
			err := client.RequestProgress(asking)
			done()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return true, err
			}
		case <-resumed:
			return true, fmt.Errorf("watching %s/: the connection was lost", m.cfg.Path)
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
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

// list returns all keys with the prefix at one revision.
func list(ctx context.Context, client *clientv3.Client, prefix string, options ...clientv3.OpOption) (items []item, revision int64, err error) {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		page := append([]clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision)}, options...)
		call, cancel := bounded(ctx)
		r, err := client.Get(call, from, page...)
		cancel()
		if err != nil {
			return nil, 0, fmt.Errorf("listing %s: %w", prefix, err)
		}
		for _, kv := range r.Kvs {
			items = append(items, toItem(kv))
		}
		if revision == 0 {
			revision = r.Header.Revision
		}
		if !r.More || len(r.Kvs) == 0 {
			return items, revision, nil
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
func (m *Member) found(items []item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.state.Reached {
		m.state.Reached = true
		m.observer.Reached(m.cfg.URLs, nil)
	}
	m.take(func(now time.Time) []update { return m.fleet.replace(items, now) })
}

// changed takes what the watch tells.
func (m *Member) changed(events []*clientv3.Event) {
	items := make([]item, len(events))
	for i, e := range events {
		if items[i] = toItem(e.Kv); e.Type == clientv3.EventTypeDelete {
			items[i].value = nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.take(func(now time.Time) []update { return m.fleet.apply(items, now) })
}

// lost notes that etcd does not answer.
func (m *Member) lost(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed(err)
	m.state.Reached = false
	m.observer.Reached(m.cfg.URLs, err)
	m.take(m.fleet.lost)
}

// take tells what a change of the fleet brings, and of keys that are skipped from now on. The caller holds mu.
func (m *Member) take(change func(now time.Time) []update) {
	before := m.skipped()
	m.tellAll(change(time.Now()))
	for host, why := range m.skipped() {
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
