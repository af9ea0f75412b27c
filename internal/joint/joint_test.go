package joint

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestTable(t *testing.T) {
	var table Table[string, int]
	begun := 0
	begin := func() int { begun++; return begun }
	if a, b := table.Join("a", begin), table.Join("a", begin); a != 1 || b != 1 {
		t.Errorf("two users of one thing get %d and %d", a, b)
	}
	if got := table.Join("b", begin); got != 2 || len(table.All()) != 2 || table.All()["b"] != 2 {
		t.Errorf("another key has %d: %v", got, table.All())
	}
	if table.Leave("a") {
		t.Error("the first to leave is told that it is the last")
	}
	if !table.Leave("a") {
		t.Error("the last is not told so")
	}
	if got := table.Join("a", begin); got != 3 {
		t.Errorf("who joins after the last has left gets %d", got)
	}
}

// TestTogether has users come and go at once: for each thing that is begun one of them is the last.
func TestTogether(t *testing.T) {
	var table Table[string, int]
	var begun, ended atomic.Int64
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for range 1000 {
				table.Join("a", func() int { return int(begun.Add(1)) })
				if table.Leave("a") {
					ended.Add(1)
				}
			}
		})
	}
	users.Wait()
	if begun.Load() != ended.Load() || len(table.All()) != 0 {
		t.Errorf("%d were begun, %d have ended: %v", begun.Load(), ended.Load(), table.All())
	}
}
