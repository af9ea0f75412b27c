// Command bench measures the product: side by side with what CoreDNS itself offers, at any scale, and
// with a real engine. It is run in its folder, and names files as from the repository's root.
//
//	bench wire    CPU time, queries a second and latencies over the network
//	bench scale   up to 100,000 containers
//	bench hosts   fifty engines in one server
//	bench engine  how soon DNS says what a real Docker Engine does
//	bench crashes what containers that crash again and again cost who asks for other names
//	bench before  the present state side by side with that of a git revision
//	bench status  what the status listener and a page that is open there cost a query
//	bench swarm   what a Swarm costs that does not change
//	bench share   fifty hosts that tell each other through etcd
//	bench lean    the lean and the full binary: size, memory, time to the first answer
//	bench compare binaries of the product side by side, each NAME=PATH
//	bench pgo     records coredns.pgo
//
// All but pgo print tables, and write them as NAME.json and NAME.svg to the folder of -out. Each
// has flags of its own: bench wire -h.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// commands are what a user can have it do. The folder is theirs as long as they last.
var commands = map[string]func(ctx context.Context, dir string, args []string) error{
	"wire": wire, "engine": engine, "scale": scale, "hosts": hosts, "crashes": crashes, "before": before, "status": status, "lean": lean, "swarm": swarm, "share": listening, "compare": compare, "pgo": pgo,
}

func run(ctx context.Context, args []string) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	switch command { // what the benchmark starts itself
	case sizeCommand:
		return sizeMain(dir, args)
	case hostsCommand:
		return hostsMain(dir, args)
	case tellersCommand:
		return tellersMain(args)
	case fakeCommand:
		return fakeMain(args)
	case crowdCommand:
		return crowdMain(args)
	}
	do := commands[command]
	if do == nil {
		return fmt.Errorf("want a command: wire, scale, hosts, engine, crashes, before, status, lean, swarm, share, compare or pgo")
	}
	if err := os.Chdir("../.."); err != nil { // the repository's root
		return err
	}
	return do(ctx, dir, args)
}
