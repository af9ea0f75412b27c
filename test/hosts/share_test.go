package hosts

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

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
	t.Log("\n" + l.askAll(t).table())
	l.measureStarts(t)
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
			asking.Go(func() {
				err := h.server.Await(patience, func() error {
					given, err := l.lan.addrs(h.addrs[0], name+".alpha.docker.")
					if err == nil && len(given) == 0 {
						err = fmt.Errorf("%s does not know %s yet", h.name, name)
					}
					return err
				})
				if answered[j] = time.Now(); err != nil {
					t.Error(err)
				}
			})
		}
		alpha.run(t, name, uint16(9000+i), "--publish", fmt.Sprint(9000+i, ":80"))
		asking.Wait()
		later = append(later, max(0, answered[1].Sub(answered[0])))
	}
	slices.Sort(later)
	t.Logf("%s's server answers for a container of %s after %s's own: median %v, p95 %v, %v to %v (%d starts)", beta.name, alpha.name, alpha.name,
		later[starts/2], later[starts*95/100], later[0], later[starts-1], starts)
}
