package swarm

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

var seeds = flag.Int("swarm.seeds", 16, "how often the recorded changes of a Swarm are replayed, with other faults each time")

// deadline bounds all waiting.
const deadline = 60 * time.Second

// fast is usual for a test that has no time. A deposed leader stays one for as long as it takes.
var fast = times{
	every: 20 * time.Millisecond, full: 200 * time.Millisecond, soon: 5 * time.Millisecond, stirFor: 25 * time.Millisecond,
	restMost: 40 * time.Millisecond, hedge: 30 * time.Millisecond, retry: 20 * time.Millisecond, look: 100 * time.Millisecond, away: 100 * time.Millisecond, older: time.Hour,
}

// moment is the state of the Swarm at a time, and what is right then, by service ID.
type moment struct {
	state enginetest.SwarmState
	tasks map[string]uint64 // versions of those that are listed, by ID
	right map[string]string
}

// tasksOf says what counts of the tasks, by service ID.
func (r *recordings) tasksOf(t testing.TB, all map[string]task) map[string]string {
	serving := map[string][]container.Task{}
	for _, c := range all {
		if c.State != "running" || c.Desired != "running" {
			continue
		}
		k := container.Task{ID: c.ID, Slot: c.Slot, Node: r.full[c.Node], Container: c.CID}
		for _, a := range c.Addrs {
			var name string
			var at []string
			if json.Unmarshal(a[0], &name) != nil || json.Unmarshal(a[1], &at) != nil {
				t.Fatalf("task %s has %s", c.ID, a)
			}
			if name == "host" {
				k.HostNetwork = true
				continue
			}
			k.Connections = append(k.Connections, container.TaskConnection{Network: r.networks[name].id, Addrs: addrs(at...)})
		}
		slices.SortFunc(k.Connections, func(a, b container.TaskConnection) int { return strings.Compare(a.Network, b.Network) })
		serving[r.full[c.Svc]] = append(serving[r.full[c.Svc]], k)
	}
	right := map[string]string{}
	for _, row := range r.services {
		id := serviceID(t, row)
		right[id] = tasksText(serving[id])
	}
	return right
}

func serviceID(t testing.TB, row json.RawMessage) string {
	t.Helper()
	var s struct{ ID string }
	if err := json.Unmarshal(row, &s); err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func withVersion(t testing.TB, row json.RawMessage, version uint64) json.RawMessage {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(row, &s); err != nil {
		t.Fatal(err)
	}
	s["Version"] = map[string]any{"Index": version}
	row, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

var noTasks = tasksText(nil)

// tasksText says what counts of tasks, in whatever order.
func tasksText(tasks []container.Task) string {
	var all []string
	for i := range tasks {
		all = append(all, text(&container.Service{Tasks: tasks[i : i+1]}))
	}
	slices.Sort(all)
	return fmt.Sprintf("%d tasks\n%s", len(all), strings.Join(all, "\n"))
}

// replay is the recorded changes as moments. At random several come at once, and rows in any order; a service goes for a while.
func (r *recordings) replay(t testing.TB, random *rand.Rand) (moments []moment) {
	version, all := uint64(100), map[string]task{}
	changes := r.changes(t, "tasks-create.jsonl", "tasks-scale-update-drain.jsonl", "tasks-crash.jsonl")
	services, gone := slices.Clone(r.services), -1
	for len(changes) > 0 {
		n := min(1+random.IntN(12), len(changes))
		for _, c := range changes[:n] {
			version++
			c.version = version
			all[c.ID] = c
		}
		changes = changes[n:]
		m := moment{tasks: map[string]uint64{}, right: r.tasksOf(t, all)}
		if random.IntN(8) == 0 {
			if gone >= 0 { // it is made anew, and its tasks
				version++
				services[gone] = withVersion(t, services[gone], version)
				for id, c := range all {
					if r.full[c.Svc] == serviceID(t, services[gone]) {
						c.version = version
						all[id] = c
					}
				}
			}
			gone = random.IntN(2*len(services)) - len(services)
		}
		m.state.Services, m.state.Nodes = slices.Clone(services), slices.Clone(r.nodes)
		if gone >= 0 {
			m.right[serviceID(t, services[gone])] = "gone"
			m.state.Services = slices.Delete(m.state.Services, gone, gone+1)
		}
		for _, c := range all {
			if m.right[r.full[c.Svc]] == "gone" {
				continue
			}
			if c.Desired == "running" {
				m.tasks[c.ID] = c.version
			}
			m.state.Tasks = append(m.state.Tasks, r.row(t, c))
		}
		for _, rows := range [][]json.RawMessage{m.state.Services, m.state.Tasks, m.state.Nodes} {
			random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
		moments = append(moments, m)
	}
	return moments
}

// watcher is a Sink that checks what it is told against what was right, at this moment or at one since what it was told last.
type watcher struct {
	mu      sync.Mutex
	moments []moment // that have been, with the present one
	at      map[string]int
	now     map[string]string
	current map[container.SwarmID]bool
	wrong   []string
	told    chan struct{} // closed at the next call
}

func newWatcher() *watcher {
	return &watcher{at: map[string]int{}, now: map[string]string{}, current: map[container.SwarmID]bool{}, told: make(chan struct{})}
}

func (w *watcher) tell(note func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	note()
	close(w.told)
	w.told = make(chan struct{})
}

func (w *watcher) Nodes([]container.Node)        { w.tell(func() {}) }
func (w *watcher) Attached([]container.Attached) { w.tell(func() {}) }
func (w *watcher) Synced()                       { w.tell(func() {}) }

func (w *watcher) Current(s container.SwarmState) {
	w.tell(func() { w.current[s.Swarm] = s.Current })
}

func (w *watcher) Apply(changes []container.ServiceChange) {
	w.tell(func() {
		for _, c := range changes {
			got := "gone"
			if c.Service != nil {
				got = tasksText(c.Service.Tasks)
			}
			w.now[c.ID] = got
			i := w.at[c.ID]
			for i < len(w.moments) && w.moments[i].right[c.ID] != got && (got != noTasks || w.moments[i].right[c.ID] != "gone") {
				i++ // one that was gone may have been made anew after the tasks were read
			}
			if i == len(w.moments) {
				w.wrong = append(w.wrong, fmt.Sprintf("%s is told at moment %d to be\n%s\nwhich it has not been since moment %d", c.ID, i-1, got, w.at[c.ID]))
			} else {
				w.at[c.ID] = i
			}
		}
	})
}

// wait waits until what the sink has is right, or says what is not.
func (w *watcher) wait(ctx context.Context, swarm container.SwarmID) error {
	for {
		w.mu.Lock()
		right := w.moments[len(w.moments)-1].right
		ok := w.current[swarm]
		for id, want := range right {
			ok = ok && cmp.Or(w.now[id], "gone") == want
		}
		told := w.told
		got := fmt.Sprintf("current %v, has\n%v\nwant\n%v", w.current[swarm], w.now, right)
		w.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-told:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ctx.Err(), got)
		}
	}
}

// TestSeeds replays what happened in a Swarm, while its managers fail in all ways: what is told is always what once was right, it
// never goes back, and in the end it is right.
func TestSeeds(t *testing.T) {
	r := readRecordings(t)
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(seed), 1))
			replaySeed(t, r, random)
		})
	}
}

// managed is a manager, and what undoes its fault; nil if it has none.
type managed struct {
	*enginetest.Engine
	undo func()
}

func replaySeed(t *testing.T, r *recordings, random *rand.Rand) {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	moments := r.replay(t, random)
	sw := enginetest.NewSwarm("swarm")
	w := newWatcher()
	var managers []*managed
	var engines []*enginetest.Engine
	for i := range 1 + random.IntN(3) {
		e := enginetest.New(t)
		e.Join(sw, fmt.Sprint("node", i), true)
		managers, engines = append(managers, &managed{Engine: e}), append(engines, e)
	}
	w.moments = moments[:1]
	sw.Set(moments[0].state)
	follow(t, fast, engines...).Subscribe(w)
	for i, m := range moments[1:] {
		w.tell(func() {
			sw.Set(m.state)
			w.moments = moments[:i+2]
		})
		for _, e := range managers {
			switch {
			case e.undo != nil && random.IntN(3) == 0:
				e.undo()
				e.undo = nil
			case e.undo == nil && random.IntN(4) == 0:
				e.undo = spoil(t, e.Engine, sw, moments[:i+2], random, e == managers[0])
			}
			if random.IntN(3) == 0 {
				e.Stir()
			}
		}
		if random.IntN(3) == 0 { // let some answers through
			e := managers[random.IntN(len(managers))]
			some, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			_ = e.WaitCalls(some, "tasks", e.Calls("tasks")+1+random.IntN(2))
			cancel()
		}
	}
	for _, e := range managers {
		if e.undo != nil {
			e.undo()
		}
	}
	if err := w.wait(ctx, "swarm"); err != nil {
		t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, wrong := range w.wrong {
		t.Error(wrong)
	}
}

// spoil has the manager fail in some way, and returns what undoes it.
func spoil(t *testing.T, e *enginetest.Engine, sw *enginetest.Swarm, moments []moment, random *rand.Rand, first bool) (undo func()) {
	kind := []string{"services", "tasks", "nodes", "info", "events"}[random.IntN(5)]
	node := fmt.Sprint("node of ", e.Host())
	switch random.IntN(8) {
	case 0: // away
		if err := e.Down(); err != nil {
			t.Error(err)
		}
		return func() {
			if err := e.Up(); err != nil {
				t.Error(err)
			}
		}
	case 1:
		return e.Freeze()
	case 2: // slow
		return e.HangCalls(kind)
	case 3:
		e.FailCalls(kind, -1, []int{0, 500, 503, 403}[random.IntN(4)])
		return func() { e.FailCalls(kind, 0, 0) }
	case 4:
		e.CutCalls(kind, random.IntN(4000))
		return func() { e.CutCalls(kind, -1) }
	case 5: // no leader for a while
		sw.Lead(false)
		return func() { sw.Lead(true) }
	case 6: // it is no manager for a while; where nobody is one, nobody knows the Swarm
		if first {
			return nil
		}
		e.Join(sw, node, false)
		return func() { e.Join(sw, node, true) }
	default: // it has not heard that it is no leader any more
		i := random.IntN(len(moments))
		for id := range moments[len(moments)-1].tasks {
			if moments[i].tasks[id] == 0 { // nothing tells that what is not known yet there has not gone
				return nil
			}
		}
		e.Depose(moments[i].state)
		return func() { e.Join(sw, node, true) }
	}
}
