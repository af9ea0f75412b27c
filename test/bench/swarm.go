package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// swarm measures what it costs to ask a manager each second for tasks that do not change.
func swarm(ctx context.Context, dir string, args []string) error {
	set, out := newFlags("swarm")
	tasks := set.Int("tasks", 500, "tasks, ten of each service")
	slices := set.Int("slices", 10, "slices of time, of ten seconds each")
	if err := set.Parse(args); err != nil {
		return err
	}
	if *tasks < 10 || *slices < 1 {
		return errors.New("-tasks is at least 10, -slices at least 1")
	}
	binary, err := buildProduct(dir)
	if err != nil {
		return err
	}
	e, err := enginetest.Start(filepath.Join(dir, "d.sock"), enginetest.WithFlavour(enginetest.Docker28))
	if err != nil {
		return err
	}
	defer e.Close()
	state, err := manyTasks(*tasks)
	if err != nil {
		return err
	}
	s := enginetest.NewSwarm("swarm")
	s.Set(state)
	e.Join(s, "node", true)
	var servers []*rig.Server
	for i, property := range []string{"", "swarm\n"} {
		folder := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
		s, err := serve(binary, folder, fmt.Sprintf("docker docker. {\nendpoint %s\n%s}\n", e.Host(), property), -1)
		if err != nil {
			return err
		}
		defer s.Stop(patience)
		servers = append(servers, s)
	}
	if err := await(servers[1], question{"web0.docker.", dns.TypeA}, dns.RcodeSuccess); err != nil {
		return err
	}
	spent := [2][]float64{}
	for range *slices {
		var before [2]time.Duration
		began := time.Now()
		for i, s := range servers {
			if before[i], err = cpuTime(s.Process); err != nil {
				return err
			}
		}
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for i, s := range servers {
			now, err := cpuTime(s.Process)
			if err != nil {
				return err
			}
			spent[i] = append(spent[i], 100*(now-before[i]).Seconds()/time.Since(began).Seconds())
		}
	}
	r := newReport("swarm", "A Swarm that does not change", args)
	r.note("Two servers of the product side by side, with one manager (internal/enginetest, in the benchmark's process) of %d tasks in services of ten, rows as Docker 28.5 writes them.", *tasks)
	t := table{Title: fmt.Sprintf("CPU time of the server, %% of a core, %d tasks", *tasks), Columns: []column{{Title: "without swarm", Digits: 3}, {Title: "swarm", Digits: 3, Plot: true}}}
	t.add("idle", estimateOf(spent[0]), estimateOf(spent[1]))
	r.Tables = append(r.Tables, t)
	return r.publish(*out)
}

// manyTasks is a Swarm whose services and tasks are copies of a recorded one.
func manyTasks(n int) (state enginetest.SwarmState, err error) {
	read := func(kind string) (all []map[string]any, err error) {
		text, err := os.ReadFile(filepath.Join("internal/enginetest/testdata/swarm", kind+".json"))
		if err == nil {
			err = json.Unmarshal(text, &all)
		}
		return all, err
	}
	services, err1 := read("services")
	tasks, err2 := read("tasks")
	nodes, err3 := read("nodes")
	if err := errors.Join(err1, err2, err3); err != nil {
		return state, err
	}
	add := func(rows *[]json.RawMessage, row map[string]any) {
		text, marshal := json.Marshal(row)
		err = errors.Join(err, marshal)
		*rows = append(*rows, text)
	}
	for _, node := range nodes {
		add(&state.Nodes, node)
	}
	const service, task = 6, 1 // web, and one of its tasks
	for i := range n {
		if i%10 == 0 {
			services[service]["ID"] = fmt.Sprintf("service%018d", i/10)
			services[service]["Spec"].(map[string]any)["Name"] = fmt.Sprint("web", i/10)
			add(&state.Services, services[service])
		}
		tasks[task]["ID"], tasks[task]["ServiceID"], tasks[task]["Slot"] = fmt.Sprintf("task%021d", i), services[service]["ID"], i%10+1
		add(&state.Tasks, tasks[task])
	}
	return state, err
}
