// Command gossip is a member of a cluster of hashicorp/memberlist, as small as one can be: it is told one name, at which it finds
// the others. GET /members on port 8080 tells who is there, /health fails for who is alone.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: gossip NAME")
	}
	config := memberlist.DefaultLANConfig()
	config.Name, _ = os.Hostname()
	config.DeadNodeReclaimTime = time.Second // who comes back may have another address
	list, err := memberlist.Create(config)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /members", func(w http.ResponseWriter, _ *http.Request) {
		for _, member := range list.Members() {
			fmt.Fprintln(w, member.Name)
		}
	})
	http.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if list.NumMembers() == 1 {
			http.Error(w, "alone", http.StatusServiceUnavailable)
		}
	})
	go func() { log.Fatal(http.ListenAndServe(":8080", nil)) }()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	retry := time.NewTicker(time.Second)
	for {
		// Who is alone tries again: the others may start later.
		if list.NumMembers() == 1 {
			if _, err := list.Join(os.Args[1:]); err != nil {
				log.Print(err)
			}
		}
		select {
		case <-retry.C:
		case <-stop:
			if err := list.Leave(5 * time.Second); err != nil {
				log.Print(err)
			}
			return
		}
	}
}
