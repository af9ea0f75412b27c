package share

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// TestTold follows two hosts through their lives: what one tells the other knows, and nothing stays behind.
func TestTold(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
	a.await("b 192.0.2.98: ")
	b.run("db", "10.1.0.2")
	a.await("b 192.0.2.98: db")
	a.run("more", "10.1.0.3")
	a.end("web")
	b.await("a 192.0.2.97: more")
	a.away(true)
	b.await("a! 192.0.2.97: more")
	a.away(false)
	b.await("a 192.0.2.97: more")

	// A configuration that is loaded anew joins before the one before it leaves.
	before := has(t, c)
	again := Join(a.config(), a, a)
	if again != a.member {
		t.Error("a reload makes another membership")
	}
	a.member.Leave()
	if now := has(t, c); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("after a reload etcd has %v, before %v", now, before)
	}

	// The server crashes, and is started anew: nobody is to see that.
	lefts := b.lefts()
	a.crash()
	a.run("since", "10.1.0.4")
	a.start()
	b.await("a 192.0.2.97: more since")
	await(t, patience, func() error { // all keys hang on the new lease: the old one's end takes none
		r, err := c.Leases(t.Context())
		if err != nil || len(r.Leases) != 2 {
			return fmt.Errorf("%d leases, %w", len(r.Leases), err)
		}
		return nil
	})
	if b.await("a 192.0.2.97: more since"); b.lefts() != lefts {
		t.Errorf("while its server was started anew host a left %d times", b.lefts()-lefts)
	}

	// The server stops, as planned: well before its lease ends.
	a.lease = time.Hour
	a.crash()
	a.start()
	b.await("a 192.0.2.97: more since")
	a.member.Leave()
	a.member = nil
	b.await("")
	for key := range has(t, c) {
		if strings.HasPrefix(key, "a/") {
			t.Errorf("%s is left behind", key)
		}
	}
}

func (m *machine) lefts() int {
	m.member.mu.Lock()
	defer m.member.mu.Unlock()
	return m.seen.lefts
}

// TestClaimed has a second host claim the first one's name, and a second server tell of the same engine.
func TestClaimed(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b, other := newMachine(t, e, "a"), newMachine(t, e, "b"), newMachine(t, e, "a")
	a.run("web", "10.1.0.2")
	a.start()
	b.start()
	b.await("a 192.0.2.97: web")
	a.await("b 192.0.2.98: ")
	other.engineID = "another"
	other.run("stolen", "10.1.0.3")
	before := has(t, c)
	other.start()
	refusedOnce := func(m *machine, want string) {
		t.Helper()
		await(t, patience, func() error {
			m.mu.Lock()
			defer m.mu.Unlock()
			if len(m.refused) != 1 || m.refused[0] == nil || !strings.Contains(m.refused[0].Error(), want) {
				return fmt.Errorf("refused: %v, want once %q", m.refused, want)
			}
			return nil
		})
	}
	refusedOnce(other, `another host is called a: its engine is "Ea", and this host's is "another"`)
	if now := has(t, c); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("etcd has %v, before the claim %v", now, before)
	}
	if s := other.member.State(); s.Owned || s.Err == nil {
		t.Errorf("who is refused has the state %+v", s)
	}
	a.member.Leave() // then the name is free
	a.member = nil
	b.await("a 192.0.2.97: stolen")
	refusedEnd := func() error {
		other.mu.Lock()
		defer other.mu.Unlock()
		if n := len(other.refused); n != 2 || other.refused[1] != nil {
			return fmt.Errorf("refused: %v, want to hear that this is over", other.refused)
		}
		return nil
	}
	await(t, patience, refusedEnd)

	// Two servers of one engine don't take turns.
	twin := newMachine(t, e, "a")
	twin.engineID = "another"
	twin.run("twin", "10.1.0.4")
	other.mu.Lock()
	other.refused = nil
	other.mu.Unlock()
	twin.start()
	b.await("a 192.0.2.97: twin")
	other.run("nudge", "10.1.0.5") // it finds out
	refusedOnce(other, "another server tells of this host's engine")
	twin.run("twin2", "10.1.0.6")
	b.await("a 192.0.2.97: twin twin2")
}

// TestGarbage has others write what is not ours below the path.
func TestGarbage(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
	for key, value := range map[string]string{"/p/x": "y", "/p/c/host": "not JSON", "/p/c/x/y": "", "/p/c/containers/z": `{"version":9}`} {
		if _, err := c.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	await(t, patience, func() error {
		s := b.member.State()
		if s.Skipped != 1 || len(s.Others) != 2 || s.Others[1].Skipped != 3 || !strings.Contains(s.Others[1].Why, "version 9") {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	b.await("a 192.0.2.97: web")

	// Somebody takes one of our keys away. It is mended by the next session, and by the next comparison.
	if _, err := c.Delete(t.Context(), "/p/a/"+containerKeys, clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	b.await("a 192.0.2.97: ")
	a.cut(true)
	await(t, patience, func() error {
		if a.member.State().Reached {
			return errNot
		}
		return nil
	})
	a.cut(false)
	b.await("a 192.0.2.97: web")
}

// TestOutage stops all of etcd, for longer than leases last. What was known last stays, and counts as away.
func TestOutage(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
	e.Members[0].End()
	b.await("a! 192.0.2.97: web")
	a.end("web")
	a.run("db", "10.1.0.3")
	late := newMachine(t, e, "c").start() // which starts meanwhile, and does not wait for etcd
	select {
	case <-late.member.Settled():
	case <-time.After(patience):
		t.Error("a server does not start while etcd is away")
	}
	e.Start(t)
	began := time.Now()
	b.await("a 192.0.2.97: db; c 192.0.2.99: ")
	late.await("a 192.0.2.97: db; b 192.0.2.98: ")
	t.Logf("right %v after etcd serves again", time.Since(began).Round(time.Millisecond))

	// A host that is cut off for longer than its lease leaves, and is back.
	a.cut(true)
	began = time.Now()
	b.await("c 192.0.2.99: ")
	t.Logf("gone %v after it was cut off, with a lease of %v", time.Since(began).Round(time.Millisecond), lease)
	a.await("b! 192.0.2.98: ; c! 192.0.2.99: ")
	a.cut(false)
	b.await("a 192.0.2.97: db; c 192.0.2.99: ")
	a.await("b 192.0.2.98: ; c 192.0.2.99: ")
	for key := range has(t, c) {
		if strings.HasPrefix(key, "a/"+containerKeys+"web") {
			t.Errorf("%s is left behind", key)
		}
	}
}

// TestCompacted compacts etcd's history while a reader is cut off.
func TestCompacted(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
	b.cut(true)
	for i := range 20 {
		a.run(fmt.Sprintf("c%02d", i), fmt.Sprint("10.1.1.", i+1))
	}
	a.end("web")
	await(t, patience, func() error {
		keys := has(t, c)
		if _, old := keys[key("a", "web")]; len(keys) < 22 || old { // the containers', and their host's own two
			return fmt.Errorf("%d keys", len(keys))
		}
		return nil
	})
	r, err := c.Get(t.Context(), "/p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compact(t.Context(), r.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	b.cut(false)
	await(t, patience, func() error {
		if got := b.sees(); strings.Contains(got, "web") || strings.Count(got, " c") != 20 {
			return fmt.Errorf("b sees %q", got)
		}
		return nil
	})
}

// TestQuota uses etcd's quota up: what is over is taken away all the same, and what is new comes when there is room again.
func TestQuota(t *testing.T) {
	e := rig.NewEtcd(t, 1, "--quota-backend-bytes", fmt.Sprint(4<<20))
	c := client(t, e)
	a, b := newMachine(t, e, "a"), newMachine(t, e, "b")
	a.run("stays", "10.1.0.2")
	a.run("moves", "10.1.0.3")
	a.run("ends", "10.1.0.4")
	a.start()
	b.start()
	b.await("a 192.0.2.97: ends moves stays")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := 0; ; i++ {
		_, err := c.Put(ctx, fmt.Sprint("/fill/", i), strings.Repeat("x", 1<<18))
		if noSpace(err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a.end("ends")
	a.run("moves", "10.1.0.5") // its address of before may be another container's by now
	a.run("new", "10.1.0.3")
	b.await("a 192.0.2.97: stays")
	await(t, patience, func() error { // it is said when all has been taken away
		if s := a.member.State(); !noSpace(s.Err) || Cure(s.Err) == "" {
			return fmt.Errorf("the state does not say that the quota is used up: %v", s.Err)
		}
		return nil
	})
	if _, err := c.Delete(ctx, "/fill/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	r, err := c.Get(ctx, "/p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compact(ctx, r.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Defragment(ctx, e.Members[0].URL); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b.await("a 192.0.2.97: moves new stays")
	t.Logf("right %v after there is room again", time.Since(began).Round(time.Millisecond))
}

// TestMembers kills the leader of three members, and has another one hang.
func TestMembers(t *testing.T) {
	e := rig.NewEtcd(t, 3)
	c := client(t, e)
	a, b := newMachine(t, e, "a"), newMachine(t, e, "b")
	a.lease = 15 * time.Second // the default
	a.run("web", "10.1.0.2")
	a.start()
	b.start()
	b.await("a 192.0.2.97: web")
	first := leader(t, e, c)
	e.Members[first].End()
	began := time.Now()
	a.run("db", "10.1.0.3")
	b.await("a 192.0.2.97: db web")
	t.Logf("a change comes %v after the leader was killed", time.Since(began).Round(time.Millisecond))
	e.Start(t)
	hangs := e.Members[(leader(t, e, c)+1)%3]
	if err := hangs.Hang(true); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	for i := range 6 {
		a.run("db", fmt.Sprint("10.1.0.", 10+i))
		a.end("web")
		b.await("a 192.0.2.97: db")
		a.run("web", "10.1.0.2")
		b.await("a 192.0.2.97: db web")
	}
	t.Logf("12 changes took %v while a member hung", time.Since(began).Round(time.Millisecond))
	if err := hangs.Hang(false); err != nil {
		t.Fatal(err)
	}
	if n := b.lefts(); n != 0 {
		t.Errorf("host a left %d times", n)
	}
}
