package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// crowdCommand is this program's command that is a crowd: it asks URL by so many clients until its input ends, and prints how many
// answers there were.
const crowdCommand = "crowd-clients"

const (
	crowdSize = 1000
	crowdRate = 2000            // queries a second for names, meanwhile
	crowdTime = 3               // seconds of a slice
	crowdEnds = 2 * time.Second // until who was asked has done with what a crowd has left
)

// crowd measures how long who asks for names waits while a crowd asks the status listener for its page. The same crowd at CoreDNS's
// plugin health, which says OK, tells what of that is the crowd's own work: it has a processor with who asks for names, and
// gives way to that.
func (c *comparison) crowd(ctx context.Context, binary, at string) error {
	w, err := openWire(wireFlags{names: c.names, pin: c.pin}, c.dir)
	if err != nil {
		return err
	}
	defer w.stop()
	hits, _, err := w.questions()
	if err != nil {
		return err
	}
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		return err
	}
	health := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	t, err := w.serve("crowd", binary, w.docker("status "+at)+"\thealth "+health+"\n", existing(0), dns.RcodeSuccess)
	if err != nil {
		return err
	}
	target := trialTarget{target: t, rcode: "NOERROR"}
	c.candidates = []candidate{{name: "nobody else"}, {name: "a crowd at health"}, {name: "a crowd at status"}}
	urls := []string{"", "http://" + health + "/health", "http://" + at + "/"}
	p50, p90, p99 := c.figure("p50, µs", 0), c.figure("p90, µs", 0), c.figure("p99, µs", 0)
	memory := c.figure("resident memory, MiB", 1)
	served := make([]int, len(urls))
	turn := func(i int) (err error) {
		if urls[i] != "" {
			end, err := startCrowd(urls[i], w.asker)
			if err != nil {
				return err
			}
			defer func() {
				n, endErr := end()
				served[i] += n
				time.Sleep(crowdEnds)
				if err == nil {
					err = endErr
				}
			}()
		}
		s, err := w.ask(&target, load{data: hits.data, seconds: crowdTime, rate: crowdRate, latencies: true, cpu: w.asker, from: w.from})
		if err != nil {
			return err
		}
		bytes, err := resident(t.server.Process)
		p50.add(i, s.percentile(0.5))
		p90.add(i, s.percentile(0.9))
		p99.add(i, s.percentile(0.99))
		memory.add(i, bytes/(1<<20))
		return err
	}
	if err := c.turns(ctx, "crowd", turn); err != nil {
		return err
	}
	c.tabulate(fmt.Sprintf("%d queries a second for names, while %d clients ask by HTTP", crowdRate, crowdSize), p50, p90, p99, memory)
	c.report.note("The crowd's clients ask anew when they are answered or refused, and after a second. It got %d answers at health, %d at status.", served[1], served[2])
	return nil
}

// startCrowd starts the crowd on the CPU, where it gives way to others. What is returned ends it, and returns how many answers it got.
func startCrowd(url string, cpu int) (end func() (int, error), err error) {
	args := append(onCPU(cpu), "nice", "-n", "19", os.Args[0], crowdCommand, url)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fscanln(out); err != nil { // it has begun
		return nil, errors.Join(err, in.Close(), cmd.Wait())
	}
	return func() (n int, err error) {
		in.Close()
		_, err = fmt.Fscan(out, &n)
		return n, errors.Join(err, cmd.Wait())
	}, nil
}

// crowdMain is the crowd. It prints an empty line when each client has asked, or found no place.
func crowdMain(args []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var answers atomic.Int64
	var began, all sync.WaitGroup
	began.Add(crowdSize)
	for range crowdSize {
		all.Go(func() {
			client := http.Client{Transport: &http.Transport{}, Timeout: time.Second} // a connection of its own
			defer client.CloseIdleConnections()
			for first := true; ctx.Err() == nil; first = false {
				begin := time.Now()
				if ask(ctx, &client, args[0]) {
					answers.Add(1)
				}
				if first {
					began.Done()
				}
				select {
				case <-time.After(time.Until(begin.Add(time.Second))):
				case <-ctx.Done():
				}
			}
		})
	}
	began.Wait()
	fmt.Println()
	io.Copy(io.Discard, os.Stdin)
	cancel()
	all.Wait()
	_, err := fmt.Println(answers.Load())
	return err
}

// ask reports whether the client got what the URL has. That it gets none is what may happen to a crowd.
func ask(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Accept", "text/html")
	r, err := client.Do(req)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil && r.StatusCode == http.StatusOK
}
