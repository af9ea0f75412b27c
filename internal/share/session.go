package share

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// session is one with etcd, until something fails.
type session struct {
	*writer
	client *clientv3.Client
	owned  int64            // revision of the key that says who writes the others
	fenced bool             // that is this session's: nothing of those before it comes in between
	again  <-chan time.Time // when what etcd has not taken is to be written again; nil if there is nothing
}

// begin takes our keys, and finds out what they are.
func (s *session) begin(ctx context.Context) (err error) {
	if s.owned, s.fenced, err = s.acquire(ctx, s.client); err != nil {
		return err
	}
	return s.compare(ctx)
}

// fence begins once more after etcd has taken nothing new, if that is over.
func (s *session) fence(ctx context.Context) (err error) {
	if s.owned, s.fenced, err = s.acquire(ctx, s.client); err != nil || !s.fenced {
		return err
	}
	s.local.wantAll()
	return s.compare(ctx)
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
	s.local.wantAll()
	defer s.local.wantAll()
	for {
		if err := s.mend(ctx); err != nil {
			return err
		}
		select {
		case <-s.local.dirty:
		case <-s.again:
		case <-reading.C:
			s.local.findAddrs()
		case <-comparing.C:
			if err := s.compare(ctx); err != nil {
				return err
			}
			s.local.wantAll()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// mend writes what is not as it is to be.
func (s *session) mend(ctx context.Context) error {
	_, addrs := s.local.engine()
	s.own(addrs)
	if !s.fenced {
		if err := s.fence(ctx); err != nil {
			return err
		}
	}
	wanted, have, err := s.differences()
	if err != nil {
		return err
	}
	for _, ops := range plan(wanted, have) {
		err := s.commit(ctx, ops)
		if noSpace(err) {
			return s.full(ctx, err, wanted, have)
		}
		if err != nil {
			return err
		}
	}
	s.again = nil
	if s.forbidden {
		call, cancel := bounded(ctx)
		defer cancel()
		if _, err := s.client.KeepAliveOnce(call, s.lease); err != nil {
			return fmt.Errorf("renewing the lease: %w", err)
		}
	}
	s.succeed()
	return nil
}

// differences returns keys as they are to be, and as they are known: those that may differ since it was called last, or all.
func (w *writer) differences() (wanted, have map[string]string, err error) {
	wanted, all, err := w.local.wanted(w.identity)
	if err != nil {
		return nil, nil, err
	}
	have = map[string]string{}
	for key, value := range wanted {
		if k, known := w.known[key]; known {
			have[key] = k.value
		}
		if value == "" {
			delete(wanted, key)
		}
	}
	if all {
		for key, k := range w.known {
			have[key] = k.value
		}
	}
	return wanted, have, nil
}

// full is for an etcd that takes nothing new, as the error says.
func (s *session) full(ctx context.Context, err error, wanted, have map[string]string) error {
	if err := s.withdraw(ctx, wanted, have); err != nil {
		return err
	}
	s.fail(err)
	s.local.wantAll()
	s.again = time.After(maxRetry)
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
	r, err := s.client.Txn(call).If(clientv3.Compare(clientv3.ModRevision(s.prefix+ownerKey), "=", s.owned)).Then(requests...).Commit()
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
