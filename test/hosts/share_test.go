package hosts

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// TestShared has each host's server watch its own engine alone. What they know of others comes through three members of etcd on the LAN, and
// each answer must be as right as where they watch all engines themselves.
func TestShared(t *testing.T) {
	var etcd *rig.Etcd
	l := newLab(t, func(h *host, t *testing.T, l *lab) {
		if etcd == nil { // the LAN's computer has it, which all hosts reach by IPv6
			etcd = rig.NewEtcdVia(t, []string{"nsenter", "--net=" + rig.NetnsPath(l.segment.Netns)}, "[2001:db8::100]", 3)
		}
		h.serveBlock(t, fmt.Sprintf("publish\nendpoint unix://%s %s\nshare etcd %s\n", h.socket, h.name, etcd.URLs()))
	})
	for _, h := range l.hosts { // those that were started first hear of the others
		a := &asker{host: h, name: h.name, netns: rig.NetnsPath(h.netns)}
		for _, other := range l.hosts {
			if err := h.server.Await(patience, func() error {
				given, err := a.addrs(netip.MustParseAddr("127.0.0.1"), "solo-"+other.name+".docker.")
				if err == nil && len(given) == 0 {
					err = fmt.Errorf("%s does not know %s yet", h.name, other.name)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	page := l.askAll(t).table()
	t.Log("\n" + page)
	asDocumented(t, page)
	l.measureStarts(t)
	l.measureEtcd(t, etcd)
}

// starts is how many containers measureStarts starts.
const starts = 20

// measureStarts starts containers on the first host, and reports how much later than its own server the second one's answers for them.
func (l *lab) measureStarts(t *testing.T) {
	t.Helper()
	alpha, beta := l.hosts[0], l.hosts[1]
	var later []time.Duration
	for i := range starts {
		name := fmt.Sprint("start", i)
		answered := make([]time.Time, 2)
		var asking sync.WaitGroup
		for j, h := range []*host{alpha, beta} {
			asking.Go(func() { answered[j] = l.lan.firstAnswer(t, h.addrs[0], name+".alpha.docker.") })
		}
		alpha.run(t, name, uint16(9000+i), "--publish", fmt.Sprint(9000+i, ":80"))
		asking.Wait()
		later = append(later, max(0, answered[1].Sub(answered[0])))
	}
	t.Logf("%s's server answers for a container of %s after %s's own: %s", beta.name, alpha.name, alpha.name, spread(later))
}

// firstAnswer asks over and over, and returns when there was an address first.
func (a *asker) firstAnswer(t *testing.T, server netip.Addr, name string) time.Time {
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		rrs, err := a.ask(server, name, dns.TypeA)
		now := time.Now()
		if err == nil && len(rrs) > 0 {
			return now
		}
		if now.Sub(begin) > patience {
			t.Errorf("%v has no address of %s (%v)", server, name, err)
			return now
		}
	}
}

// measureEtcd reports how long etcd itself takes from a host's putting a key until another one hears of it.
func (l *lab) measureEtcd(t *testing.T, e *rig.Etcd) {
	t.Helper()
	client := func(h *host) *clientv3.Client {
		dial := func(_ context.Context, addr string) (conn net.Conn, err error) {
			err = rig.Within(rig.NetnsPath(h.netns), func() (err error) {
				conn, err = net.Dial("tcp", addr)
				return err
			})
			return conn, err
		}
		c, err := clientv3.New(clientv3.Config{Endpoints: strings.Fields(e.URLs()), DialTimeout: patience, DialOptions: []grpc.DialOption{grpc.WithContextDialer(dial)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	from := client(l.hosts[0])
	heard := client(l.hosts[1]).Watch(ctx, "/measured", clientv3.WithCreatedNotify())
	if r := <-heard; !r.Created {
		t.Fatalf("etcd is not watched: %v", r.Err())
	}
	var took []time.Duration
	for range starts {
		begin := time.Now()
		if _, err := from.Put(ctx, "/measured", strings.Repeat("x", 1<<10)); err != nil {
			t.Fatal(err)
		}
		if r := <-heard; r.Err() != nil || len(r.Events) != 1 {
			t.Fatalf("%d events, %v", len(r.Events), r.Err())
		}
		took = append(took, time.Since(begin))
	}
	t.Logf("etcd alone takes from %s to %s: %s", l.hosts[0].name, l.hosts[1].name, spread(took))
}

// spread describes a sample of twenty: with 95 % certainty the median lies between the sixth value and the fifteenth.
func spread(sample []time.Duration) string {
	slices.Sort(sample)
	at := func(i int) time.Duration { return sample[i].Round(100 * time.Microsecond) }
	return fmt.Sprintf("median %v (%v to %v), p95 %v, %v to %v (%d times)", at(len(sample)/2), at(5), at(14), at(len(sample)*95/100-1), at(0), at(len(sample)-1), len(sample))
}
