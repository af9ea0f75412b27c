package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// TestClockIsSet has the engine's clock be set while the watch goes on: what happens afterwards is known all the same, without a
// periodic reconciliation. Each container is begun by the clock of before.
func TestClockIsSet(t *testing.T) {
	for _, flavour := range []enginetest.Flavour{enginetest.Docker2010, enginetest.Docker28} {
		for name, jump := range map[string]struct{ before, after time.Duration }{
			"ahead": {0, time.Hour}, "back": {0, -time.Hour}, "right again": {time.Hour, 0},
		} {
			t.Run(fmt.Sprint(flavour, " ", name), func(t *testing.T) {
				e := enginetest.New(t, enginetest.WithFlavour(flavour))
				e.AddNetwork("back")
				e.SetClock(jump.before)
				_, r := watch(t, e, time.Hour)
				synced(t, r)
				names := []string{"restarts", "ends", "starts", "leaves", "joins", "renamed", "paused"}
				ids := map[string]string{}
				for _, name := range names {
					networks := []enginetest.Attachment{{Network: "bridge"}}
					if name == "leaves" {
						networks = append(networks, enginetest.Attachment{Network: "back"})
					}
					ids[name] = e.Run(enginetest.Spec{Name: name, Networks: networks})
				}
				e.Stop(ids["starts"])
				r.waitNames(t, "restarts", "ends", "leaves", "joins", "renamed", "paused")
				e.SetClock(jump.after)
				for range 5 {
					e.Restart(ids["restarts"])
				}
				e.Stop(ids["ends"])
				e.Start(ids["starts"])
				e.Disconnect(ids["leaves"], "back")
				e.Connect(ids["joins"], enginetest.Attachment{Network: "back"})
				e.Rename(ids["renamed"], "other")
				e.Pause(ids["paused"])
				later := e.Run(enginetest.Spec{Name: "later"})
				r.wait(t, "what is so now", func() bool {
					at := func(name, network string) bool {
						c := r.containers[ids[name]]
						if c == nil {
							return false
						}
						for _, ep := range c.Endpoints {
							if ep.Network == network {
								return len(ep.Addrs) > 0 && ep.Addrs[0] == e.IP(ids[name], network)
							}
						}
						return false
					}
					return at("restarts", "bridge") && r.containers[ids["ends"]] == nil && at("starts", "bridge") &&
						at("leaves", "bridge") && !at("leaves", "back") && at("joins", "back") && at("joins", "bridge") &&
						r.containers[ids["renamed"]].Name == "other" && r.containers[ids["paused"]].Paused && r.containers[later] != nil
				})
			})
		}
	}
}
