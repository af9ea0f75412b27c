package engine

import (
	"flag"
	"testing"

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
