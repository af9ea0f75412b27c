package share

import (
	"fmt"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// TestSlowDisks has a host start 2,000 containers at once while etcd's disks take 50 ms to write. Others know them all soon, since what is
// told is told together, and the host keeps its lease.
func TestSlowDisks(t *testing.T) {
	const many = 2000
	e := rig.NewEtcdSlow(t, 3, 50*time.Millisecond)
	a, b := newMachine(t, e, "a"), newMachine(t, e, "b")
	a.lease = 15 * time.Second // the default
	a.start()
	b.start()
	b.await("a 192.0.2.97: ")
	know := func(n int, change func(i int)) {
		t.Helper()
		before := a.transactions()
		for i := range many {
			change(i)
		}
		began := time.Now()
		await(t, patience, func() error {
			if others := b.member.State().Others; len(others) != 1 || others[0].Containers != n {
				return fmt.Errorf("b knows %+v, want %d containers", others, n)
			}
			return nil
		})
		t.Logf("b knows %d containers %v after the last change", n, time.Since(began).Round(time.Millisecond))
		if made, most := a.transactions()-before, 3*many/maxOps; made > most {
			t.Errorf("%d transactions were made, want %d at most", made, most)
		}
	}
	know(many, func(i int) { a.run(fmt.Sprintf("c%04dx", i), fmt.Sprintf("10.1.%d.%d", i/250+1, i%250+2)) })
	know(0, func(i int) { a.end(fmt.Sprintf("c%04dx", i)) })
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := b.lefts(); n != 0 || len(a.failures) > 0 {
		t.Errorf("host a left %d times, and failed with %v", n, a.failures)
	}
}

// transactions returns how many the machine's server has made.
func (m *machine) transactions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.written
}
