package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// profileSeconds is the length of one CPU profile: CoreDNS's pprof plugin gives no longer ones.
const profileSeconds = 4

// pgo records the profile by which the product is built. It is taken from the stock build, under the wire
// benchmark's load and with reverse queries too; what is in it is merged from many short profiles, so
// that no kind of query has the machine's better moments for itself.
func pgo(ctx context.Context, dir string, args []string) error {
	set := flag.NewFlagSet("bench pgo", flag.ContinueOnError)
	out := set.String("out", "coredns.pgo", "the profile")
	rounds := set.Int("rounds", 5, fmt.Sprintf("profiles of %d s for each kind of query", profileSeconds))
	if err := set.Parse(args); err != nil {
		return err
	}
	bins, err := build(dir)
	if err != nil {
		return err
	}
	const names = 300
	asker, serving := cpus()
	fake, err := startFake(dir, asker)
	if err != nil {
		return err
	}
	defer fake.stop()
	if err := fake.call("Populate", names, nil); err != nil {
		return err
	}
	debug, err := rig.FreePort("127.0.0.1")
	if err != nil {
		return err
	}
	from, err := rig.FreePort("127.0.0.1")
	if err != nil {
		return err
	}
	s, err := serve(bins.stock, dir, fmt.Sprintf("\tpprof 127.0.0.1:%d\n\tdocker docker. 10.0.0.0/8 {\n\t\tendpoint %s\n\t}\n", debug, fake.host), serving)
	if err != nil {
		return err
	}
	defer s.Stop(patience)
	if err := await(s, existing(0), dns.RcodeSuccess); err != nil {
		return err
	}
	var profiles []string
	for round := range *rounds {
		for kind, of := range map[string]func(int) question{"hit": existing, "miss": missing, "reverse": reverse} {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			l := load{data: filepath.Join(dir, kind), seconds: profileSeconds + 1, cpu: asker, from: from}
			var qs []question
			for i := range names {
				qs = append(qs, of(i))
			}
			if err := writeQuestions(l.data, qs); err != nil {
				return err
			}
			asked := make(chan error, 1)
			go func() {
				_, err := dnsperf(s.Addr, l)
				asked <- err
			}()
			profile := filepath.Join(dir, fmt.Sprintf("%s.%d.pprof", kind, round))
			err := download(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/profile?seconds=%d", debug, profileSeconds), profile)
			if askErr := <-asked; err == nil {
				err = askErr
			}
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			profiles = append(profiles, profile)
		}
	}
	if out, err := exec.Command("go", append([]string{"tool", "pprof", "-proto", "-output", *out}, profiles...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("go tool pprof: %w\n%s", err, out)
	}
	info, err := os.Stat(*out)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d profiles, %d KiB\n", *out, len(profiles), info.Size()/1024)
	return nil
}

// reverse asks for the name of an address.
func reverse(i int) question {
	name, err := dns.ReverseAddr(hostAddr(i))
	if err != nil {
		panic(err) // hostAddr makes addresses
	}
	return question{name, dns.TypePTR}
}

func download(url, path string) error {
	b, err := rig.Get(url)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
