package swarm

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// play drives a core by a clock of its own.
type play struct {
	*core
	t     *testing.T
	now   time.Time
	begun time.Time
	e     effects          // of the last step
	all   effects          // of all steps but for asks
	asked []ask            // not answered
	count map[kind]int     // of asks
	reply func(ask) answer // nil: nobody answers
}

func newPlay(t *testing.T, members int) *play {
	begun := time.Unix(1e9, 0)
	p := &play{t: t, now: begun, begun: begun, count: map[kind]int{}}
	var all []*member
	for i := range members {
		all = append(all, &member{host: container.HostID(string(rune('a' + i))), at: "at " + string(rune('a'+i))})
	}
	p.core = newCore(usual, all)
	return p
}

// took takes what a step has come to.
func (p *play) took(e effects) {
	p.e = e
	p.all.services = append(p.all.services, e.services...)
	p.all.states = append(p.all.states, e.states...)
	p.all.notes = append(p.all.notes, e.notes...)
	p.all.synced = p.all.synced || e.synced
	for _, a := range e.asks {
		p.count[a.kind]++
		p.asked = append(p.asked, a)
	}
	for p.reply != nil && len(p.asked) > 0 {
		a := p.asked[0]
		p.asked = p.asked[1:]
		p.now = p.now.Add(time.Millisecond)
		p.took(p.answered(a.member, p.reply(a), p.now))
	}
}

// answers gives what the member was asked an answer.
func (p *play) answers(member int, a answer) {
	p.t.Helper()
	i := slices.IndexFunc(p.asked, func(a ask) bool { return a.member == member })
	if i < 0 {
		p.t.Fatalf("member %d was not asked; %v were", member, p.asked)
	}
	p.asked = slices.Delete(p.asked, i, i+1)
	p.took(p.answered(member, a, p.now))
}

// pass lets time pass.
func (p *play) pass(d time.Duration) {
	end := p.now.Add(d)
	for p.now.Before(end) {
		next := end
		if wake := p.e.wake; !wake.IsZero() && wake.Before(end) {
			next = later(wake, p.now)
		}
		p.now = next
		p.took(p.wake(p.now))
		if !p.e.wake.IsZero() && !p.e.wake.After(p.now) {
			p.t.Fatalf("is to be woken at %v, which it is", p.e.wake.Sub(p.begun))
		}
	}
}

func isManager(node string) answer {
	var a answer
	a.about.Swarm.LocalNodeState, a.about.Swarm.ControlAvailable = "active", true
	a.about.Swarm.NodeID, a.about.Swarm.Cluster.ID = node, "swarm"
	return a
}

func isWorker(node string) (a answer) {
	a.about.Swarm.LocalNodeState, a.about.Swarm.NodeID = "active", node
	return a
}

// listing is what a manager says of a Swarm that has a service with these tasks, each written SLOT, and of the nodes a and b.
func listing(version uint64, tasks ...int) answer {
	l := lists{&list[jsonTask]{}, &list[jsonService]{}, &list[jsonNode]{}}
	s := jsonService{ID: "web", Version: jsonVersion{1}}
	s.Spec.Name = "web"
	l.services.all = []jsonService{s}
	for _, slot := range tasks {
		t := jsonTask{ID: string(rune('0' + slot)), Version: jsonVersion{version}, ServiceID: "web", Slot: slot, NodeID: "a", DesiredState: "running"}
		t.Status.State = "running"
		l.tasks.all = append(l.tasks.all, t)
	}
	for _, id := range []string{"a", "b"} {
		n := jsonNode{ID: id, Version: jsonVersion{2}}
		n.Status.State = "ready"
		l.nodes.all = append(l.nodes.all, n)
	}
	return answer{lists: l}
}

// slots are those of the service's tasks, as they are known.
func (p *play) slots() (slots []int) {
	for _, k := range p.swarms["swarm"].services["web"].Tasks {
		slots = append(slots, k.Slot)
	}
	return slots
}

func (p *play) want(what string, slots ...int) {
	p.t.Helper()
	if got := p.slots(); !slices.Equal(got, slots) {
		p.t.Errorf("%s: tasks %v, want %v", what, got, slots)
	}
}

// TestUnchanging counts what is asked of a Swarm that does not change, and what is told.
func TestUnchanging(t *testing.T) {
	p := newPlay(t, 2)
	same := listing(3, 1, 2)
	p.reply = func(a ask) answer {
		if a.kind == look {
			return isManager(string(rune('a' + a.member)))
		}
		return same
	}
	p.took(p.wake(p.now))
	if !p.all.synced || len(p.all.services) != 1 || len(p.all.states) != 1 {
		t.Fatalf("synced %v, services %v, states %v", p.all.synced, p.all.services, p.all.states)
	}
	clear(p.count)
	p.pass(time.Minute)
	if tasks, all := p.count[readTasks], p.count[readLists]; tasks+all < 57 || tasks+all > 61 || all < 5 || all > 6 {
		t.Errorf("read tasks alone %d times in a minute, and all %d times", tasks, all)
	}
	if p.count[look] != 0 || len(p.all.services) != 1 || len(p.all.states) != 1 {
		t.Errorf("looked %d times; services %v, states %v", p.count[look], p.all.services, p.all.states)
	}
}

// TestHang has the manager that is asked hang: the other one is asked, and what the first says late counts for nothing.
func TestHang(t *testing.T) {
	p := newPlay(t, 2)
	p.took(p.wake(p.now))
	p.answers(0, isManager("a"))
	p.answers(1, isManager("b"))
	p.answers(0, listing(3, 1, 2))
	p.pass(usual.every)
	if len(p.asked) != 1 || p.asked[0].member != 0 {
		t.Fatalf("asked %v, want the one that has answered before", p.asked)
	}
	p.pass(usual.hedge)
	p.answers(1, listing(4, 1))
	p.want("after the other one's answer", 1)
	p.answers(0, listing(5, 1, 2, 3))
	p.want("after an answer to what was asked before", 1)
}

// TestAway has nobody answer for a while: what is known stands, and is told to be of before.
func TestAway(t *testing.T) {
	p := newPlay(t, 1)
	away := false
	p.reply = func(a ask) answer {
		switch {
		case away:
			return answer{err: engine.ErrAway}
		case a.kind == look:
			return isManager("a")
		}
		return listing(3, 1)
	}
	p.took(p.wake(p.now))
	away = true
	p.pass(usual.away + 2*usual.every)
	p.want("away", 1)
	if n := len(p.all.states); n != 2 || p.all.states[1].Current {
		t.Errorf("states %v", p.all.states)
	}
	if len(p.all.notes) != 1 || !strings.Contains(p.all.notes[0], "No manager of Swarm swarm answers") {
		t.Errorf("notes %q", p.all.notes)
	}
	away = false
	p.took(p.stir(0, p.now))
	if n := len(p.all.states); n != 3 || !p.all.states[2].Current {
		t.Errorf("after a reconnect: states %v", p.all.states)
	}
}

// TestOlder has a manager answer with what was before. It counts when nobody says otherwise for long.
func TestOlder(t *testing.T) {
	p := newPlay(t, 1)
	said := listing(9, 1, 2)
	p.reply = func(a ask) answer {
		if a.kind == look {
			return isManager("a")
		}
		return said
	}
	p.took(p.wake(p.now))
	said = listing(8, 1, 2, 3)
	p.pass(usual.older - 2*usual.every)
	p.want("an older answer", 1, 2)
	p.pass(4 * usual.every)
	p.want("an older answer for long", 1, 2, 3)
}

// TestStir has a Swarm read soon, and again for a while.
func TestStir(t *testing.T) {
	p := newPlay(t, 1)
	p.reply = func(a ask) answer {
		if a.kind == look {
			return isManager("a")
		}
		return listing(3, 1)
	}
	p.took(p.wake(p.now))
	p.pass(usual.every / 2)
	clear(p.count)
	p.took(p.stir(0, p.now))
	if p.count[readLists] != 1 {
		t.Errorf("read %d times at once", p.count[readLists])
	}
	p.pass(usual.stirFor)
	if n := p.count[readLists]; n < 4 || n > 6 {
		t.Errorf("read %d times while tasks change", n)
	}
	clear(p.count)
	p.pass(3 * usual.every)
	if all, tasks := p.count[readLists], p.count[readTasks]; all != 1 || tasks != 2 {
		t.Errorf("read all %d times after that, want once, and tasks alone %d times, want 2", all, tasks)
	}
}

// TestStrange has a task of a service, and then one on a node, of which no event has told. All is read at once. Who is attached to a
// network is no service's task.
func TestStrange(t *testing.T) {
	p := newPlay(t, 1)
	tasks, known := listing(3, 1), listing(3, 1)
	p.reply = func(a ask) answer {
		switch a.kind {
		case look:
			return isManager("a")
		case readTasks:
			return tasks
		}
		return known
	}
	p.took(p.wake(p.now))
	for _, step := range []struct {
		what    string
		service string
		node    string
		all     int
	}{
		{"an attached container", "", "a", 0},
		{"a new service", "new", "a", 1},
		{"a new node", "web", "c", 1},
	} {
		known = listing(4, 1)
		tasks = listing(4, 1, 2)
		tasks.lists.tasks.all[1].ServiceID, tasks.lists.tasks.all[1].NodeID = step.service, step.node
		clear(p.count)
		p.pass(usual.every + 100*time.Millisecond)
		if p.count[readTasks] != 1 || p.count[readLists] != step.all {
			t.Errorf("%s: read tasks alone %d times, and all %d times, want 1 and %d", step.what, p.count[readTasks], p.count[readLists], step.all)
		}
	}
}

// TestWorker has a worker be asked of its networks until a manager speaks for it.
func TestWorker(t *testing.T) {
	p := newPlay(t, 2)
	p.took(p.wake(p.now))
	p.answers(1, isWorker("b"))
	if len(p.asked) != 1 || p.asked[0].kind != look {
		t.Fatalf("asked %v, while the other one may be a manager", p.asked)
	}
	p.answers(0, answer{err: errors.New("refused")})
	if n := len(p.all.notes); n != 2 || !strings.Contains(p.all.notes[1], "is a worker of its Swarm") {
		t.Errorf("notes %q", p.all.notes)
	}
	var n jsonNetwork
	if err := decode(recorded(t, "network-worker.json"), &n); err != nil {
		t.Fatal(err)
	}
	p.answers(1, answer{view: viewOf("b", []jsonNetwork{n})})
	if len(p.all.services) != 2 || !p.e.attached || len(p.attached) != 2 || !p.all.synced {
		t.Errorf("services %v, attached %v, synced %v", p.all.services, p.attached, p.all.synced)
	}
	p.all.services = nil
	p.pass(usual.every)
	p.answers(1, answer{view: viewOf("b", []jsonNetwork{n})})
	if len(p.all.services) != 0 || p.e.attached {
		t.Errorf("the same again: services %v", p.all.services)
	}
	p.answers(0, isManager("a"))
	p.answers(0, listing(3, 1))
	gone := 0
	for _, c := range p.all.services {
		if c.Service == nil {
			gone++
		}
	}
	if gone != 2 || len(p.attached) != 0 {
		t.Errorf("with a manager: %v, attached %v", p.all.services, p.attached)
	}
	if !slices.ContainsFunc(p.nodes, func(n container.Node) bool { return n.ID == "b" && n.Host == "b" }) {
		t.Errorf("nodes %v", p.nodes)
	}
	if len(p.all.notes) != 2 {
		t.Errorf("notes %q", p.all.notes)
	}
}

// TestWorkerCovered has a worker beside a manager that speaks for it, whichever answers first: the log need not ask for a manager.
func TestWorkerCovered(t *testing.T) {
	for _, first := range []int{0, 1} {
		p := newPlay(t, 2)
		p.took(p.wake(p.now))
		for _, i := range []int{first, 1 - first} {
			p.answers(i, []answer{isManager("a"), isWorker("b")}[i])
		}
		p.answers(0, listing(3, 1))
		p.pass(usual.every)
		if len(p.all.notes) != 0 || p.count[readView] != 0 {
			t.Errorf("member %d answers first: notes %q, %d views", first, p.all.notes, p.count[readView])
		}
	}
}

// TestNodes reads whether nodes are ready. Of one that a new leader has not heard from what was known counts.
func TestNodes(t *testing.T) {
	state := func(states ...string) *list[jsonNode] {
		l := &list[jsonNode]{}
		for i, s := range states {
			n := jsonNode{ID: string(rune('a' + i))}
			n.Status.State, n.Status.Addr = s, "0.0.0.0"
			n.ManagerStatus.Addr = "192.0.2.1:2377"
			l.all = append(l.all, n)
		}
		return l
	}
	before := nodes("swarm", state("ready", "down", "disconnected"), nil)
	now := nodes("swarm", state("unknown", "unknown", "ready", "unknown"), before)
	for i, want := range []bool{true, false, true, true} {
		if now[i].Ready != want || now[i].Addr.String() != "192.0.2.1" {
			t.Errorf("node %s: ready %v at %s, want %v", now[i].ID, now[i].Ready, now[i].Addr, want)
		}
	}
}

// TestMalformed reads answers that no engine gives, and is told of each.
func TestMalformed(t *testing.T) {
	for _, text := range []string{"", "null", "  null", "[", `[{"ID":1}]`, `{"a":1}`, `[{"Slot":"x"}]`} {
		var r reader[jsonTask]
		if _, err := r.read([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

// TestBounds has a service with more than counts.
func TestBounds(t *testing.T) {
	var s jsonService
	s.Spec.TaskTemplate.Networks = []jsonTarget{{Target: "n", Aliases: slices.Repeat([]string{strings.Repeat("x", maxName+1)}, 3)}}
	s.Endpoint.Ports = slices.Repeat([]jsonPort{{Protocol: "TCP", TargetPort: 80, PublishedPort: 8080}, {Protocol: "tcp", TargetPort: 70000, PublishedPort: 1}, {Protocol: "icmp", TargetPort: 1, PublishedPort: 1}}, maxPorts)
	s.Spec.Labels = map[string]string{"x": strings.Repeat("x", maxLabels)}
	f := s.facts("swarm", nil)
	if len(f.Networks) != 1 || len(f.Networks[0].Aliases) != 0 || f.Labels != nil {
		t.Errorf("networks %v, %d labels", f.Networks, len(f.Labels))
	}
	if want := []container.ServicePort{{Number: 80, Proto: "tcp", Published: 8080, Mesh: true}}; !slices.Equal(f.Ports, want) {
		t.Errorf("ports %v, want %v", f.Ports, want)
	}
}
