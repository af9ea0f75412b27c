package share

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// TestTold follows two hosts through their lives: what one tells the other knows, and nothing stays behind.
func TestTold(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
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
	again := Join(a.config(), a, a, nil)
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
	m.member.turn.Lock()
	defer m.member.turn.Unlock()
	return m.seen.lefts
}

// TestClaimed has a second host claim the first one's name, and a second server tell of the same engine.
func TestClaimed(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
	other := newMachine(t, e, "a")
	other.engineID = "another"
	other.run("stolen", "10.1.0.3")
	before := has(t, c)
	other.start()
	refusedOnce := func(m *machine, want string) {
		t.Helper()
		await(t, patience, func() error {
			m.mu.Lock()
			defer m.mu.Unlock()
			if len(m.told) != 1 || m.told[0] == nil || !strings.Contains(m.told[0].Error(), want) {
				return fmt.Errorf("refused: %v, want once %q", m.told, want)
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
		if n := len(other.told); n != 2 || other.told[1] != nil {
			return fmt.Errorf("refused: %v, want to hear that this is over", other.told)
		}
		return nil
	}
	await(t, patience, refusedEnd)

	// Two servers of one engine don't take turns.
	twin := newMachine(t, e, "a")
	twin.engineID = "another"
	twin.run("twin", "10.1.0.4")
	other.mu.Lock()
	other.told = nil
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
	b.await("")
	a.cut(false)
	b.await("a 192.0.2.97: web")
}

var outageFlag = flag.Duration("share.outage", lease+time.Second, "how long TestOutage leaves all of etcd stopped")

// TestOutage stops all of etcd, for longer than leases last. What was known last stays, and counts as away.
func TestOutage(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
	e.Members[0].End()
	stopped := time.Now()
	b.awaitWithin(longest, "a! 192.0.2.97: web")
	a.end("web")
	a.run("db", "10.1.0.3")
	late := newMachine(t, e, "c").start() // which starts meanwhile, and does not wait for etcd
	select {
	case <-late.member.Settled():
	case <-time.After(patience):
		t.Error("a server does not start while etcd is away")
	}
	for time.Since(stopped) < *outageFlag {
		if got, want := b.sees(), "a! 192.0.2.97: web"; got != want {
			t.Fatalf("%v after etcd was stopped b sees %q, want %q", time.Since(stopped), got, want)
		}
		time.Sleep(20 * time.Millisecond) // lasts as long as the outage
	}
	e.Start(t)
	began := time.Now()
	b.awaitWithin(recovery, "a 192.0.2.97: db; c 192.0.2.99: ")
	late.awaitWithin(recovery, "a 192.0.2.97: db; b 192.0.2.98: ")
	a.awaitWithin(recovery, "b 192.0.2.98: ; c 192.0.2.99: ")
	t.Logf("right %v after etcd serves again, which was stopped for %v", time.Since(began).Round(time.Millisecond), began.Sub(stopped).Round(time.Second))

	// A host that is cut off for longer than its lease leaves, and is back.
	a.cut(true)
	began = time.Now()
	b.awaitWithin(longest, "c 192.0.2.99: ")
	t.Logf("gone %v after it was cut off, with a lease of %v", time.Since(began).Round(time.Millisecond), lease)
	a.awaitWithin(longest, "b! 192.0.2.98: ; c! 192.0.2.99: ")
	a.cut(false)
	b.awaitWithin(recovery, "a 192.0.2.97: db; c 192.0.2.99: ")
	a.awaitWithin(recovery, "b 192.0.2.98: ; c 192.0.2.99: ")
	for key := range has(t, c) {
		if strings.HasPrefix(key, "a/"+containerKeys+"web") {
			t.Errorf("%s is left behind", key)
		}
	}
}

// TestSilence has nothing come from etcd any more, and no connection end: a firewall has begun to drop what is sent.
func TestSilence(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	a, b := pair(t, e)
	b.link(silent)
	began := time.Now()
	b.awaitWithin(longest, "a! 192.0.2.97: web")
	t.Logf("noticed after %v", time.Since(began).Round(time.Millisecond))
	a.run("db", "10.1.0.3")
	b.link(carries)
	b.awaitWithin(recovery, "a 192.0.2.97: db web")
}

// TestDead has hosts end without a word, the second one shortly before etcd's leader does.
func TestDead(t *testing.T) {
	e := rig.NewEtcd(t, 3)
	c := client(t, e)
	a, b := pair(t, e)
	other := newMachine(t, e, "c")
	other.run("db", "10.1.0.2")
	other.start()
	b.await("a 192.0.2.97: web; c 192.0.2.99: db")
	a.die()
	began := time.Now()
	b.awaitWithin(longest, "c 192.0.2.99: db")
	t.Logf("gone %v after it died, with a lease of %v", time.Since(began).Round(time.Millisecond), lease)
	other.die()
	began = time.Now()
	e.Members[leader(t, e, c)].End()
	b.awaitWithin(lease+longest+election, "")
	t.Logf("gone %v after it died, as etcd's leader did", time.Since(began).Round(time.Millisecond))
	if left := has(t, c); len(left) != 2 { // b's own
		t.Errorf("etcd has %v", left)
	}
}

// TestMinority cuts one of three members off from the others, and two servers have to do with it. One reaches all members, and goes on by
// the others. One reaches that one alone, as if it stood beside it: what it knows counts as away, and others forget it.
func TestMinority(t *testing.T) {
	e := theRun.NewEtcdApart(t, 3)
	c := client(t, e)
	a, b := pair(t, e)
	beside := newMachine(t, e, "c")
	cut := leader(t, e, c)
	beside.link(refuses, cut)
	beside.run("db", "10.1.0.2")
	beside.start()
	b.await("a 192.0.2.97: web; c 192.0.2.99: db")
	beside.await("a 192.0.2.97: web; b 192.0.2.98: ")
	e.Cut(t, e.Members[cut], true)
	began := time.Now()
	a.end("web")
	beside.run("new", "10.1.0.3")
	beside.awaitWithin(longest, "a! 192.0.2.97: web; b! 192.0.2.98: ")
	noticed := time.Since(began)
	b.awaitWithin(lease+longest+election-time.Since(began), "a 192.0.2.97: ")
	t.Logf("with a lease of %v the server at the cut-off leader noticed it after %v, and the others forgot its host after %v", lease,
		noticed.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	e.Cut(t, e.Members[cut], false)
	one := client(t, &rig.Etcd{Members: e.Members[cut : cut+1]})
	await(t, patience, func() error { // it has found the others again
		call, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := one.Get(call, "/p")
		return err
	})
	began = time.Now()
	beside.awaitWithin(recovery, "a 192.0.2.97: ; b 192.0.2.98: ")
	b.awaitWithin(recovery, "a 192.0.2.97: ; c 192.0.2.99: db new")
	t.Logf("right %v after it was joined again", time.Since(began).Round(time.Millisecond))
}

// TestCutOffFollower has a member be cut off that does not lead: who reaches all members leaves it, and comes to it no more.
func TestCutOffFollower(t *testing.T) {
	e := theRun.NewEtcdApart(t, 3)
	c := client(t, e)
	a, b := pair(t, e)
	cut := (leader(t, e, c) + 1) % 3
	e.Cut(t, e.Members[cut], true)
	one := client(t, &rig.Etcd{Members: e.Members[cut : cut+1]})
	await(t, patience, func() error { // it notices
		call, cancel := bounded(t.Context())
		defer cancel()
		if _, err := one.Put(call, "/x", ""); !errors.Is(err, rpctypes.ErrNoLeader) {
			return fmt.Errorf("the member that is cut off says %w", err)
		}
		return nil
	})
	const changes = 20
	for i := range changes {
		name := fmt.Sprint("c", i)
		a.run(name, "10.1.0.3")
		b.awaitWithin(longest, "a 192.0.2.97: "+name+" web")
		a.end(name)
		b.awaitWithin(longest, "a 192.0.2.97: web")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.failures) > 1 {
		t.Errorf("%d of %d transactions failed: %v", len(a.failures), a.written, a.failures)
	}
}

// TestHang has the member hang to which a host that has nothing new to tell keeps: nobody is to see that.
func TestHang(t *testing.T) {
	e := rig.NewEtcd(t, 3)
	a, b := newMachine(t, e, "a"), newMachine(t, e, "b")
	a.lease = 2 * lease // of which a renewal and a member's silence take two thirds
	meet(a, b)
	for i, l := range a.links { // it is at the first one
		if i > 0 {
			l.set(refuses)
		}
	}
	a.link(refuses, 0)
	a.run("db", "10.1.0.3")
	b.await("a 192.0.2.97: db web")
	a.link(carries)
	lefts := b.lefts()
	a.links[0].set(silent)
	for began := time.Now(); time.Since(began) < 2*longest; time.Sleep(20 * time.Millisecond) { // lasts longer than the lease
		if b.lefts() != lefts {
			t.Fatalf("%v after its member began to hang host a has left", time.Since(began))
		}
	}
}

// TestLateWrite has etcd's leader hear late what a host has had written, from a member that was cut off meanwhile: what is over by then does not
// come back.
func TestLateWrite(t *testing.T) {
	e := theRun.NewEtcdApart(t, 3)
	c := client(t, e)
	a, b := pair(t, e)
	cut := (leader(t, e, c) + 1) % 3
	a.link(refuses, cut)
	a.run("db", "10.1.0.3")
	b.await("a 192.0.2.97: db web")
	e.Cut(t, e.Members[cut], true)
	a.run("late", "10.1.0.4")
	await(t, patience, func() error {
		if a.member.State().Owned {
			return errors.New("it is not known that the member is cut off")
		}
		return nil
	})
	a.end("late")
	a.link(carries)
	a.awaitFine() // by another member
	e.Cut(t, e.Members[cut], false)
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(10 * time.Millisecond) {
		if revision, late := has(t, c)[key("a", "late")]; late {
			t.Fatalf("after %v there is what was over before, of revision %d", time.Since(began), revision)
		}
	}
}

// TestCompacted compacts etcd's history while a reader is cut off, and has much to tell it afterwards.
func TestCompacted(t *testing.T) {
	for name, state := range map[string]linkState{"refused": refuses, "silent": silent} {
		t.Run(name, func(t *testing.T) { testCompacted(t, state) })
	}
}

func testCompacted(t *testing.T, state linkState) {
	e := rig.NewEtcd(t, 1)
	c := client(t, e)
	a, b := pair(t, e)
	b.link(state)
	const many = 500
	for range 3 { // versions
		for i := range many {
			a.run(fmt.Sprintf("c%03d", i), fmt.Sprintf("10.1.%d.%d", 1+i/200, 1+i%200))
		}
	}
	a.end("web")
	await(t, patience, func() error {
		keys := has(t, c)
		if _, old := keys[key("a", "web")]; len(keys) < many+2 || old { // the containers', and their host's own two
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
	b.link(carries)
	await(t, recovery, func() error {
		if got := b.sees(); strings.Contains(got, "web") || strings.Count(got, " c") != many {
			return fmt.Errorf("b sees %.100q", got)
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

// TestMemberEnds ends one member after the other, as for an update. Whichever a server was connected to, it goes on with another one at once,
// and has nothing to tell of it.
func TestMemberEnds(t *testing.T) {
	e := rig.NewEtcd(t, 3)
	a, b := pair(t, e)
	for i, m := range e.Members {
		if err := m.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-m.Exited
		m.Process = nil
		began := time.Now()
		a.run("new", fmt.Sprint("10.1.0.", 3+i))
		b.awaitWithin(recovery, "a 192.0.2.97: new web")
		t.Logf("a change comes %v after member %d has ended", time.Since(began).Round(time.Millisecond), i)
		a.end("new")
		b.awaitWithin(recovery, "a 192.0.2.97: web")
		a.awaitFine()
		b.awaitFine()
		e.Start(t)
	}
	for _, m := range []*machine{a, b} {
		if told := m.takeTold(); len(told) > 0 {
			t.Errorf("%s tells of %v", m.name, told)
		}
	}
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
	b.awaitWithin(recovery+election, "a 192.0.2.97: db web")
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
