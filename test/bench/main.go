// Command bench measures the product: side by side with what CoreDNS itself offers, at any scale, and
// with a real engine. It is run in the repository's root.
//
//	bench wire    CPU time, queries a second and latencies over the network
//	bench scale   up to 100,000 containers
//	bench engine  how soon DNS says what a real Docker Engine does
//	bench pgo     records default.pgo
//
// wire, scale and engine print a table, and write it as NAME.json and NAME.svg to the folder of -out. Each
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

func run(ctx context.Context, args []string) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "wire":
		return wire(ctx, args)
	case "engine":
		return engine(ctx, args)
	case "scale":
		return scale(ctx, args)
	case sizeCommand:
		return sizeMain(args)
	case "pgo":
		return pgo(ctx, args)
	case fakeCommand:
		return fakeMain(args[0])
	}
	return fmt.Errorf("want a command: wire, scale, engine or pgo")
}
