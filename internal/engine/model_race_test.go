package engine

import (
	"flag"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/choices"
)

var modelTimes = flag.Int("model.times", 200, "how often the model runs a schedule in which things are close")

// TestModelAnswerAtTheEnd has a list answered when the networks are due, which are refused: the session ends while the list's
// container is inspected. An answer that comes after that is nobody's, and the model must know.
func TestModelAnswerAtTheEnd(t *testing.T) {
	failed := 0
	var first *model
	for range *modelTimes {
		m := run(t, choices.First, func(m *model) {
			for _, text := range runs {
				m.do(m.op(text))
			}
			m.policies["inspect"] = answer
			m.start()
			m.step([]move{{"create a network", 0, func() { m.networks++; m.emit(nil, "network", "create", "") }}})
			m.step(m.reads())
			m.mu.Lock()
			m.policies["networks"] = refuse
			m.mu.Unlock()
			m.step(m.fresh())
		})
		if m.broken != nil {
			failed++
			first = m
		}
	}
	if failed > 0 {
		first.report(t, t.Name(), nil)
		t.Errorf("%d of %d times", failed, *modelTimes)
	}
}

// TestModelNoNetworks has an engine that does not tell its networks for a while, though it tells all else: the sink is told of
// nothing, and nothing piles up for it; then it gets all.
func TestModelNoNetworks(t *testing.T) {
	m := run(t, choices.First, func(m *model) {
		for _, text := range runs {
			m.do(m.op(text))
		}
		m.policies["list"], m.policies["inspect"], m.prompt = answer, answer, true
		m.policies["networks"] = hold
		m.start()
		m.sinking = true // it does not have all at once
		for range 5 {
			m.step([]move{m.happen(m.op("a rename"))}) // which has it inspected
			m.pass(time.Second)
			m.watcher.mu.Lock()
			if len(m.watcher.queue) == 0 || m.applies > 1 || m.watcher.Containers() != 1 {
				m.breaks("%d deliveries wait, the sink has %d, of %d containers", len(m.watcher.queue), m.applies-1, m.watcher.Containers())
			}
			m.watcher.mu.Unlock()
			m.mu.Lock()
			m.policies["networks"] = refuse
			m.mu.Unlock()
			m.pass(time.Second)
			m.watcher.mu.Lock()
			if n := len(m.watcher.queue) + len(m.watcher.tracked); n != 0 {
				m.breaks("of sessions that have ended %d deliveries and trackers are left", n)
			}
			m.watcher.mu.Unlock()
			m.mu.Lock()
			m.policies["networks"] = hold
			a := m.find("a")
			a.changes, a.want, a.told = nil, nil, nil // it was for nobody
			m.mu.Unlock()
			m.pass(2 * time.Second)
		}
		m.mu.Lock()
		m.policies["networks"] = answer
		m.mu.Unlock()
		m.pass(maxRetry)
		m.sinking = false
	})
	if m.broken != nil {
		m.report(t, t.Name(), nil)
	}
}
