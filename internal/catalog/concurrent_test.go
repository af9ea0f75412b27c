package catalog

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// TestConcurrentHosts has hosts tell much at once, the names of one of them go and come back, and others read meanwhile.
func TestConcurrentHosts(t *testing.T) {
	cat, zones := newCatalog(newClock(), 0)
	cat.now, cat.afterFunc = time.Now, func(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
	all := []container.HostID{here, there, "third"}
	var feeds, readers sync.WaitGroup
	done := make(chan struct{})
	for _, host := range all {
		feeds.Go(func() {
			for i := range 300 {
				f := cat.Feed(host)
				c := facts("web", fmt.Sprintf("a=10.1.0.%d", 2+i%50))
				c.Hostname = fmt.Sprintf("h%d", i%50)
				f.Apply([]container.Change{{ID: c.ID, Container: c}})
				switch i % 10 {
				case 3:
					f.Synced()
				case 5:
					f.Current(i%20 == 5, cat.now())
				case 6:
					f.Host(container.Host{Networks: []container.Network{{ID: "n", Name: "a", Spans: i%20 == 6}}})
				case 7:
					f.Apply([]container.Change{{ID: c.ID, Gone: true}})
				case 8:
					if host == "third" {
						f.Current(false, cat.now().Add(-forget)) // its names are dropped
					}
				}
			}
		})
		readers.Go(func() {
			for {
				for e := range cat.All() {
					if e.Facts != nil && e.Facts.Name != "web" || len(e.Events) > maxEvents {
						t.Errorf("%+v", e)
					}
				}
				cat.Explain(host, "web")
				cat.Skipped()
				cat.Complete()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	feeds.Wait()
	close(done)
	readers.Wait()
	for _, host := range all[:2] {
		if got := look(zones, "h49.docker.", dns.TypeA, zone.View{Asker: zone.Container, Networks: []container.NetworkID{container.LocalNetwork(host, "a")}}); got != "10.1.0.51" {
			t.Errorf("on %s: %s", host, got)
		}
	}
	if !cat.Complete() {
		t.Error("hosts that are synced are not complete")
	}
	cat.Close()
}
