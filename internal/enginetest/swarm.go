package enginetest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/docker/docker/api/types/filters"
)

// Swarm is what all managers of one Swarm answer with.
type Swarm struct {
	id string

	mu     sync.Mutex // guards the following
	state  SwarmState
	orphan bool // there is no leader
}

// SwarmState is what there is in a Swarm at a moment. The rows are as the API has them.
type SwarmState struct{ Services, Tasks, Nodes []json.RawMessage }

// membership is what an engine is to a Swarm.
type membership struct {
	swarm   *Swarm
	node    string
	manager bool
	deposed *SwarmState // what a leader knows that others have deposed, and that has not heard of it; else nil
}

// NewSwarm makes a Swarm that has nothing.
func NewSwarm(id string) *Swarm { return &Swarm{id: id} }

// Set changes what the Swarm has. No event tells of it: that is Stir's.
func (s *Swarm) Set(state SwarmState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// Lead says whether the Swarm has a leader. Without one managers answer with an error.
func (s *Swarm) Lead(leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orphan = !leads
}

// Join has the engine be a node of the Swarm.
func (e *Engine) Join(s *Swarm, node string, manager bool) {
	e.swarm.Store(&membership{swarm: s, node: node, manager: manager})
}

// Leave has the engine be in no Swarm.
func (e *Engine) Leave() { e.swarm.Store(nil) }

// Depose has the engine, a manager, answer with what was before, until it joins anew.
func (e *Engine) Depose(state SwarmState) {
	m := *e.swarm.Load()
	m.deposed = &state
	e.swarm.Store(&m)
}

// Stir tells of a change of a service, as managers do.
func (e *Engine) Stir() { e.Emit("service", "update", "service", map[string]string{"name": "service"}) }

// serveSwarm answers with a list of the Swarm's, as the kind of call says.
func (e *Engine) serveSwarm(w http.ResponseWriter, kind string, query url.Values) {
	m := e.swarm.Load()
	if m == nil || !m.manager {
		e.fail(w, http.StatusServiceUnavailable, "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.")
		return
	}
	m.swarm.mu.Lock()
	state, orphan := m.swarm.state, m.swarm.orphan
	m.swarm.mu.Unlock()
	if m.deposed != nil {
		state, orphan = *m.deposed, false
	}
	if orphan {
		e.fail(w, http.StatusInternalServerError, "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.")
		return
	}
	rows := map[string][]json.RawMessage{"services": state.Services, "tasks": state.Tasks, "nodes": state.Nodes}[kind]
	if kind == "tasks" {
		desired, err := filters.FromJSON(query.Get("filters"))
		if err != nil {
			e.fail(w, http.StatusBadRequest, err.Error())
			return
		}
		rows = slices.DeleteFunc(slices.Clone(rows), func(row json.RawMessage) bool {
			var t struct{ DesiredState string }
			return json.Unmarshal(row, &t) != nil || !desired.ExactMatch("desired-state", t.DesiredState)
		})
	}
	if rows == nil {
		rows = []json.RawMessage{}
	}
	e.answer(w, rows)
}

// swarmInfo is what the engine says of itself as a node.
func (e *Engine) swarmInfo() map[string]any {
	m := e.swarm.Load()
	if m == nil {
		return map[string]any{"NodeID": "", "LocalNodeState": "inactive"}
	}
	info := map[string]any{"NodeID": m.node, "LocalNodeState": "active", "ControlAvailable": m.manager}
	if m.manager {
		info["Cluster"] = map[string]any{"ID": m.swarm.id}
	}
	return info
}
