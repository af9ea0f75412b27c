package dockerdiscovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// of makes a container one of a Compose service, with the service as its alias on network a.
func of(c *container.Container, project, service string) *container.Container {
	c.Labels = map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": service}
	if c.Endpoints == nil {
		c.Endpoints = []container.Endpoint{{Network: "a"}}
	}
	c.Endpoints[0].Aliases = []string{service}
	return c
}

// wait has so much of a test's clock go by.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func created(c *container.Container) container.Change {
	return container.Change{ID: c.ID, Created: c, Since: time.Now()}
}

// exist checks which of the names exist. These must have no address.
func exist(t *testing.T, d *Docker, what string, all []string, want ...string) {
	t.Helper()
	var got []string
	for _, name := range all {
		switch answer := dig(t, d, fromHost, name+".docker.", dns.TypeA); answer {
		case "none":
			got = append(got, name)
		case "NXDOMAIN":
		default:
			t.Errorf("%s: %s is %s", what, name, answer)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: there are %q, want %q", what, got, want)
	}
}

// TestSuccessor has a service's container made anew as Compose does, which waits for something else before it starts the new
// one.
func TestSuccessor(t *testing.T) {
	for name, c := range map[string]struct {
		before, after func(old, next *container.Container) []container.Change // the old one's end
	}{
		"Compose v2": { // the new one is created first, and gets its name when the old one's is free
			func(_, next *container.Container) []container.Change {
				first := *next
				first.Name = "0123_shop-web-1"
				return []container.Change{created(&first)}
			},
			func(_, next *container.Container) []container.Change { return []container.Change{created(next)} },
		},
		"Compose v1": {
			func(_, _ *container.Container) []container.Change { return nil },
			func(_, next *container.Container) []container.Change { return []container.Change{created(next)} },
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := emptyDocker(nil)
			defer d.records.close()
			old, next := of(facts("1", "a=10.1.0.2"), "shop", "web"), of(facts("2", ""), "shop", "web")
			old.Name, next.Name = "shop-web-1", "shop-web-1"
			old.Hostname, next.Hostname = "www", "www"
			next.Endpoints[0].Aliases = append(next.Endpoints[0].Aliases, "new")
			names := []string{"shop-web-1", "www", "web", "web.a", "web.shop", "new", old.ShortID(), next.ShortID()}
			kept := names[:5]
			d.set(old)
			d.Apply(c.before(old, next))
			wait(time.Second)
			d.Apply([]container.Change{{ID: old.ID}})
			d.Apply([]container.Change{{ID: old.ID, Gone: true}})
			d.Apply(c.after(old, next))
			wait(9 * time.Second)
			exist(t, d, name+": in the hold", names, append(slices.Clone(kept), old.ShortID())...)
			wait(2 * time.Second)
			exist(t, d, name+": after it", names, kept...)
			wait(9 * time.Minute)
			exist(t, d, name+": long after it", names, kept...)

			reloaded := emptyDocker(nil)
			defer reloaded.records.close()
			reloaded.Apply([]container.Change{
				{ID: old.ID, Last: old, Since: time.Now().Add(-9*time.Minute - 11*time.Second), Gone: true},
				{ID: next.ID, Created: next, Since: time.Now().Add(-9*time.Minute - 12*time.Second)},
			})
			exist(t, reloaded, name+": after a reload", names, kept...)

			started := *next
			started.Endpoints = facts("2", "a=10.1.0.3").Endpoints
			started.Endpoints[0].Aliases = next.Endpoints[0].Aliases
			d.set(&started)
			for _, n := range append(kept, "new") {
				if got := dig(t, d, fromHost, n+".docker.", dns.TypeA); got != "10.1.0.3" {
					t.Errorf("%s: after the start %s is %q", name, n, got)
				}
			}
			d.Apply([]container.Change{{ID: next.ID}})
			wait(11 * time.Second)
			exist(t, d, name+": after its end", names)

			wait(time.Minute)
			exist(t, reloaded, name+": after ten minutes", names)
		})
	}
}

// TestSuccessorOfNobody checks what a created container does not bring about.
func TestSuccessorOfNobody(t *testing.T) {
	names := []string{"web", "web.shop"}
	for name, c := range map[string]struct {
		next   *container.Container
		before time.Duration // from the old one's end to its creation
		end    bool          // it is removed
	}{
		"of another project":   {of(facts("2", ""), "blue", "web"), 0, false},
		"another service":      {of(facts("2", ""), "shop", "db"), 0, false},
		"too late":             {of(facts("2", ""), "shop", "web"), 11 * time.Second, false},
		"removed":              {of(facts("2", ""), "shop", "web"), time.Second, true},
		"without a network":    {facts("2", ""), time.Second, false},
		"the names of nothing": {of(facts("2", ""), "other", "thing"), time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := emptyDocker(nil)
			defer d.records.close()
			old := of(facts("1", "a=10.1.0.2"), "shop", "web")
			d.set(old)
			d.Apply([]container.Change{{ID: old.ID}})
			wait(c.before)
			d.Apply([]container.Change{created(c.next)})
			if c.end {
				wait(11 * time.Second)
				exist(t, d, name+": before the removal", names, names...)
				d.Apply([]container.Change{{ID: c.next.ID, Gone: true}})
			}
			wait(max(0, 11*time.Second-c.before))
			exist(t, d, name, append(names, "thing", "thing.other", "2", c.next.ShortID()))
		})
	}
}

// TestEndedBefore tells a plugin of containers that have ended before it began, as a reload does: their names are held for what
// is left of its hold.
func TestEndedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := emptyDocker(nil)
		defer d.records.close()
		ended := func(name string, ago time.Duration) container.Change {
			c := facts(name, "a=10.1.0.2")
			return container.Change{ID: c.ID, Last: c, Since: time.Now().Add(-ago)}
		}
		names := []string{"a", "b", "c"}
		d.Apply([]container.Change{ended("a", time.Second), ended("b", 9*time.Second), ended("c", 11*time.Second)})
		exist(t, d, "at once", names, "a", "b")
		if got := dig(t, d, fromHost, "2.0.1.10.in-addr.arpa.", dns.TypePTR); strings.HasPrefix(got, "a.") {
			t.Errorf("the address resolves to %s", got)
		}
		wait(2 * time.Second)
		exist(t, d, "soon", names, "a")
		d.set(facts("b", "a=10.1.0.3"))
		expect(t, d, fromHost, "b.docker.", "10.1.0.3")
		wait(time.Minute)
		exist(t, d, "later", []string{"a", "c"})
		none := emptyDocker(func(c *config) { c.hold = 0 })
		none.Apply([]container.Change{ended("a", 0)})
		exist(t, none, "without a hold", names)
	})
}

// TestReloadWithinHold has the Corefile read anew while a container restarts.
func TestReloadWithinHold(t *testing.T) {
	e := enginetest.New(t)
	id := e.Run(enginetest.Spec{Name: "web"})
	port := freePort(t)
	corefile := func(ttl int) string {
		return fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n ttl %d\n hold 1m\n }\n}", port, e.Host(), ttl)
	}
	i := startCoreDNS(t, corefile(5))
	e.Stop(id)
	for end := time.Now().Add(10 * time.Second); len(query(t, port, "web.docker.").Answer) > 0; {
		if time.Now().After(end) {
			t.Fatal("the container's end is not seen")
		}
	}
	i, err := i.Restart(corefileInput(corefile(6)))
	if err != nil {
		t.Fatal(err)
	}
	defer stopCoreDNS(t, i)
	if r := query(t, port, "web.docker."); r.Rcode != dns.RcodeSuccess || len(r.Ns) != 1 || r.Ns[0].Header().Ttl != 1 {
		t.Errorf("after a reload:\n%s", r)
	}
}

// TestArrivalAfterReconnect asks for the name of a container that has started while there was no connection, before
// the engine has said who runs.
func TestArrivalAfterReconnect(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "old"})
	i := startCoreDNS(t, fmt.Sprintf("docker:%s {\n docker {\n endpoint %s\n }\n}", freePort(t), e.Host()))
	defer stopCoreDNS(t, i)
	d := running()[0]
	d.arrivalWait = time.Minute
	if err := e.Down(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); d.watcher.Current(); {
		if time.Now().After(end) {
			t.Fatal("still connected")
		}
	}
	if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("without a connection: %q", got)
	}
	id := e.Run(enginetest.Spec{Name: "web"})
	e.ResetCalls()
	release := e.HangCalls("list")
	if err := e.Up(); err != nil {
		t.Fatal(err)
	}
	if err := e.WaitCalls(t.Context(), "list", 1); err != nil {
		t.Fatal(err)
	}
	d.arrivalWait = time.Millisecond
	if got := dig(t, d, fromHost, "web.docker.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("the list takes longer than a query waits: %q", got)
	}
	d.arrivalWait = time.Minute
	got := make(chan string)
	go func() { got <- dig(t, d, fromHost, "web.docker.", dns.TypeA) }()
	release()
	if got, want := <-got, e.IP(id, "bridge").String(); got != want {
		t.Errorf("the list has come: %q, want %q", got, want)
	}
	if got := dig(t, d, fromHost, "nope.docker.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("a name of nobody: %q", got)
	}
}
