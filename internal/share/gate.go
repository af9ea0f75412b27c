package share

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// headStart is how long a member may take to show that it has the others' consent, before the next one is tried beside it. One that is well
// takes some milliseconds.
const headStart = 250 * time.Millisecond

// gate leads to one of etcd's members at a time. A client of all would send each call to another one, and so some for as long as it lasts
// to one that hangs or is cut off from the others.
type gate struct {
	cfg  *Config
	last string // the member at which it has led last: another one may do better
}

// outcome is what became of a member that was tried.
type outcome struct {
	url    string
	client *clientv3.Client // nil if err is not
	err    error
}

// connect makes a client of the first member that answers, and has the others' consent. The options are gRPC's.
func (g *gate) connect(ctx context.Context, options ...grpc.DialOption) (*clientv3.Client, error) {
	urls := strings.Fields(g.cfg.URLs)
	rand.Shuffle(len(urls), func(i, j int) { urls[i], urls[j] = urls[j], urls[i] })
	if i := slices.Index(urls, g.last); i >= 0 {
		urls = append(slices.Delete(urls, i, i+1), g.last)
	}
	calls, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan outcome)
	begun, ended := 0, 0
	begin := func() <-chan time.Time {
		if begun == len(urls) {
			return nil
		}
		url := urls[begun]
		begun++
		go func() {
			o := outcome{url: url}
			o.client, o.err = g.try(ctx, calls, url, options)
			select {
			case outcomes <- o:
			case <-calls.Done(): // another one was first
				if o.client != nil {
					o.client.Close()
				}
			}
		}()
		return time.After(headStart)
	}
	var err error
	for next := begin(); ; {
		select {
		case <-next:
			next = begin()
		case o := <-outcomes:
			if o.err == nil {
				g.last = o.url
				return o.client, nil
			}
			if err == nil || o.err != context.DeadlineExceeded { // alone it says least
				err = fmt.Errorf("%s: %w", o.url, o.err)
			}
			if ended++; ended == len(urls) {
				return nil, err
			}
			if ended == begun {
				next = begin()
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// try makes a client of one member, which lasts as long as the context, if the member answers a call before that of calls ends.
func (g *gate) try(ctx, calls context.Context, url string, options []grpc.DialOption) (*clientv3.Client, error) {
	member := *g.cfg
	member.URLs = url
	var tries attempts
	client, err := member.dial(ctx, append(slices.Clone(options), grpc.WithChainUnaryInterceptor(tries.note))...)
	if err != nil {
		return nil, tries.explain(err)
	}
	call, cancel := bounded(calls)
	defer cancel()
	if _, err := client.Get(call, g.cfg.Path+"/", clientv3.WithKeysOnly()); err != nil {
		client.Close()
		return nil, tries.explain(err)
	}
	return client, nil
}
