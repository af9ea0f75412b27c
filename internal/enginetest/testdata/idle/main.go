// Command idle is what the recorded containers run: it waits for SIGTERM, and with an argument it is a health check that passes.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	for s := range signals {
		if s == syscall.SIGTERM {
			return
		}
	}
}
