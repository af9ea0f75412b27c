package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// shareFlags are the options of bench share.
type shareFlags struct {
	out               string
	hosts, containers int
	rates             []int
	seconds, rounds   int
	watches           int
	names             int
}

func parseShare(args []string) (f shareFlags, err error) {
	set, out := newFlags("share")
	set.IntVar(&f.hosts, "hosts", 50, "hosts that tell, at most 250")
	set.IntVar(&f.containers, "containers", 2000, "containers of each host")
	rates := set.String("rates", "20,100,250,500,1000", "changes a second")
	set.IntVar(&f.seconds, "seconds", 20, "how long containers change at each rate")
	set.IntVar(&f.rounds, "rounds", 12, fmt.Sprintf("rounds of queries, no fewer than %d", fewestRounds))
	set.IntVar(&f.watches, "watches", 48, "watches of other hosts' servers, beside that of the one that is measured")
	set.IntVar(&f.names, "names", 10_000, "names that are asked for")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	for rate := range strings.SplitSeq(*rates, ",") {
		n, err := strconv.Atoi(rate)
		if err != nil || n < 1 {
			return f, fmt.Errorf("-rates: %q is not a number of at least 1", rate)
		}
		f.rates = append(f.rates, n)
	}
	f.out, f.rounds = *out, max(f.rounds, fewestRounds)
	if f.hosts < 1 || f.hosts > 250 || f.containers < 1 || f.seconds < 1 || f.names < 1 || f.watches < 0 {
		return f, errors.New("-hosts is from 1 to 250, the others are at least 1, -watches at least 0")
	}
	return f, nil
}

// listening measures many hosts that tell each other through etcd, and a server that listens to them, beside one that answers from etcd by
// CoreDNS's plugin etcd.
func listening(ctx context.Context, dir string, args []string) (err error) {
	f, err := parseShare(args)
	if err != nil {
		return err
	}
	binaries, err := build(dir)
	if err != nil {
		return err
	}
	s := &sharing{shareFlags: f, dir: dir, builds: binaries, report: newReport("share", fmt.Sprintf("%d hosts that tell each other", f.hosts), args)}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, step := range []func(context.Context) error{s.tell, s.listen, s.change, s.ask} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return s.report.publish(f.out)
}

// sharing is one run of bench share.
type sharing struct {
	shareFlags
	builds
	dir    string
	report *report
	ends   []func() error // what ends what was started, the last first

	etcd    *rig.Etcd
	client  *clientv3.Client
	leader  int // among etcd's members
	sizes   table
	tellers *tellers
	reader  *observed
	next    int // number of the next container
}

func (s *sharing) stop() (err error) {
	for _, end := range slices.Backward(s.ends) {
		err = errors.Join(err, end())
	}
	return err
}

// all is how many containers there are at first.
func (s *sharing) all() int { return s.hosts * s.containers }

// tell starts etcd, and the hosts, and waits until these have told all there is.
func (s *sharing) tell(ctx context.Context) (err error) {
	// By default etcd keeps all of its history, and ends its service when that has grown to two GiB.
	if s.etcd, err = rig.StartEtcd(s.dir, 3, "--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1m"); err != nil {
		return err
	}
	s.ends = append(s.ends, func() error { s.etcd.End(); return nil })
	if s.client, err = clientv3.New(clientv3.Config{Endpoints: strings.Fields(s.etcd.URLs()), DialTimeout: patience}); err != nil {
		return err
	}
	s.ends = append(s.ends, s.client.Close)
	s.sizes = table{Title: "etcd", Columns: []column{{Title: "keys"}, {Title: "database, MiB"}, {Title: "in use, MiB"}, {Title: "resident memory of a member, MiB"}}}
	begin := time.Now()
	if s.tellers, err = startTellers(s.hosts, s.containers, s.etcd.URLs()); err != nil {
		return err
	}
	s.ends = append(s.ends, s.tellers.stop)
	var told Told
	var failed error
	err = until(10*time.Minute, 20*time.Millisecond, "the hosts have not told all", func() bool {
		failed = errors.Join(context.Cause(ctx), s.tellers.call("Progress", Nothing{}, &told))
		return failed != nil || told.All
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	took := time.Since(begin)
	use, err := s.usage()
	if err != nil {
		return err
	}
	t := table{Title: fmt.Sprintf("all hosts start at once, %d containers", s.all()), Columns: []column{
		{Title: "s", Digits: 1}, {Title: "transactions"}, {Title: "CPU of etcd's leader, s", Digits: 1}, {Title: "of each other member, s", Digits: 1}, {Title: "of the hosts, s", Digits: 1},
	}}
	t.add("told", seconds(took), one(float64(told.Transactions)), seconds(use.leader), seconds(use.follower), seconds(use.tellers))
	s.report.Tables = append(s.report.Tables, t)
	s.next = s.all()
	if told.Failed != "" {
		s.report.note("At the start of all hosts at once: %s.", told.Failed)
	}
	return s.measureEtcd(ctx, "told")
}

// measureEtcd adds a row that says how large etcd is.
func (s *sharing) measureEtcd(ctx context.Context, row string) error {
	n, err := s.client.Get(ctx, "/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	var size, used, memory []float64
	for i, m := range s.etcd.Members {
		status, err := s.client.Status(ctx, m.URL)
		if err != nil {
			return err
		}
		if status.Leader == status.Header.MemberId {
			s.leader = i
		}
		bytes, err := resident(m.Process)
		if err != nil {
			return err
		}
		size, used, memory = append(size, float64(status.DbSize)/(1<<20)), append(used, float64(status.DbSizeInUse)/(1<<20)), append(memory, bytes/(1<<20))
	}
	s.sizes.add(row, one(float64(n.Count)), estimateOf(size), estimateOf(used), estimateOf(memory))
	return nil
}

// usage is the CPU time that each part has spent so far.
type usage struct {
	leader, follower time.Duration // of etcd; the second one is that of each of the others
	tellers, reader  time.Duration
	own              time.Duration // of the benchmark's process, which has the other watches
}

func (s *sharing) usage() (u usage, err error) {
	for i, m := range s.etcd.Members {
		spent, err := cpuTime(m.Process)
		if err != nil {
			return u, err
		}
		if i == s.leader {
			u.leader = spent
		} else {
			u.follower += spent / time.Duration(len(s.etcd.Members)-1)
		}
	}
	if u.tellers, err = cpuTime(s.tellers.Process); err != nil {
		return u, err
	}
	if s.reader != nil {
		u.reader, err = cpuTime(s.reader.Process)
	}
	u.own = ownCPU()
	return u, err
}

// etcd is what all members have spent.
func (u usage) etcd(members int) time.Duration {
	return u.leader + time.Duration(members-1)*u.follower
}

// listen starts the server that listens to all hosts, and what watches as the others' servers do.
func (s *sharing) listen(ctx context.Context) error {
	fake, err := startFake(s.dir, -1)
	if err != nil {
		return err
	}
	s.ends = append(s.ends, fake.stop)
	begin := time.Now()
	properties := fmt.Sprintf("endpoint %s reader 192.0.2.254\nshare etcd %s\npublish", fake.host, s.etcd.URLs())
	if s.reader, err = observe(s.product, s.dir, properties, -1); err != nil {
		return err
	}
	s.ends = append(s.ends, func() error { return s.reader.Stop(patience) })
	// It is ready, and denies names that it does not know, when its time to start is over.
	var last, failed error
	known := 0 // hosts of which the last container is known
	err = until(10*time.Minute, 50*time.Millisecond, "the server does not know all containers", func() bool {
		for failed = errors.Join(s.reader.Alive(), context.Cause(ctx)); failed == nil && known < s.hosts; known++ {
			if last = answers(s.reader.Server, existing((known+1)*s.containers-1), dns.RcodeSuccess); last != nil {
				return false
			}
		}
		return true
	})
	if err := errors.Join(err, failed, last); err != nil {
		return err
	}
	took := time.Since(begin)
	spent, err := cpuTime(s.reader.Process)
	if err != nil {
		return err
	}
	t := table{Title: fmt.Sprintf("a server that starts, %d containers", s.all()), Columns: []column{
		{Title: "process begins → knows all, s", Digits: 1}, {Title: "CPU, s", Digits: 1}, {Title: "resident memory, MiB"}, {Title: "bytes/container"},
	}}
	bytes, err := resident(s.reader.Process)
	if err != nil {
		return err
	}
	t.add("listens", seconds(took), seconds(spent), one(bytes/(1<<20)), one(bytes/float64(s.all())))
	s.report.Tables = append(s.report.Tables, t)
	for i := range s.watches {
		if err := s.watch(ctx, s.etcd.Members[i%len(s.etcd.Members)].URL); err != nil {
			return err
		}
	}
	return nil
}

// watch watches all hosts' keys, and does nothing with what comes.
func (s *sharing) watch(ctx context.Context, url string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, DialTimeout: patience})
	if err != nil {
		return err
	}
	s.ends = append(s.ends, client.Close)
	changes := client.Watch(clientv3.WithRequireLeader(ctx), sharePath+"/", clientv3.WithPrefix(), clientv3.WithFragment(), clientv3.WithCreatedNotify())
	if r := <-changes; r.Err() != nil {
		return r.Err()
	}
	go func() {
		for range changes {
		}
	}()
	return nil
}

// churning is how many containers start and end in turn, on all hosts together.
const churning = 500

// change has containers change at each of the rates, and measures what that costs, and how soon a change is answered elsewhere.
func (s *sharing) change(ctx context.Context) error {
	speed := table{Title: "how soon a change is answered elsewhere", Columns: []column{
		{Title: "changes/s"}, {Title: "transactions/s"},
		{Title: "start → answer, ms", Digits: 1, Plot: true}, {Title: "p95, ms", Digits: 1}, {Title: "longest, ms"},
		{Title: "stop → no answer, ms", Digits: 1}, {Title: "p95, ms", Digits: 1}, {Title: "longest, ms"},
	}}
	cost := table{Title: "CPU, % of a core", Columns: []column{
		{Title: "etcd's leader"}, {Title: "each other member"}, {Title: "all hosts, to tell"}, {Title: "the server that listens", Digits: 1, Plot: true},
		{Title: fmt.Sprintf("%d other watches", s.watches)}, {Title: "resident memory of the server, MiB"},
	}}
	from := s.next
	s.next += churning
	for _, rate := range s.rates {
		fmt.Fprintln(os.Stderr, rate, "changes a second")
		var before Told
		if err := s.tellers.call("Progress", Nothing{}, &before); err != nil {
			return err
		}
		use, err := s.usage()
		if err != nil {
			return err
		}
		begin := time.Now()
		done, changes := make(chan error, 1), 0
		go func() {
			done <- s.tellers.call("Churn", Churn{From: from, Number: churning, PerSecond: rate, Lasts: time.Duration(s.seconds) * time.Second}, &changes)
		}()
		starts, stops, err := s.probe(ctx, begin.Add(time.Duration(s.seconds)*time.Second))
		lasted := time.Since(begin).Seconds()
		if err := errors.Join(err, <-done); err != nil {
			return err
		}
		now, err := s.usage()
		if err != nil {
			return err
		}
		var after Told
		if err := s.tellers.call("Progress", Nothing{}, &after); err != nil {
			return err
		}
		if after.Failed != "" {
			s.report.note("At %d changes a second: %s.", rate, after.Failed)
		}
		bytes, err := resident(s.reader.Process)
		if err != nil {
			return err
		}
		row := fmt.Sprint(rate)
		speed.add(row, one(float64(changes+2*len(starts))/lasted), one(float64(after.Transactions-before.Transactions)/lasted),
			estimateOf(starts), one(high(starts, 0.95)), one(high(starts, 1)), estimateOf(stops), one(high(stops, 0.95)), one(high(stops, 1)))
		percent := func(a, b time.Duration) estimate { return one(100 * (b - a).Seconds() / lasted) }
		cost.add(row, percent(use.leader, now.leader), percent(use.follower, now.follower), percent(use.tellers, now.tellers),
			percent(use.reader, now.reader), percent(use.own, now.own), one(bytes/(1<<20)))
		if err := s.measureEtcd(ctx, row+" changes/s"); err != nil {
			return err
		}
	}
	s.report.Tables = append(s.report.Tables, speed, cost)
	return nil
}

// high is a quantile.
func high(sample []float64, q float64) float64 {
	return quantile(slices.Sorted(slices.Values(sample)), q)
}

// probe has containers start and end, one after the other, until the deadline, and returns how soon each was seen, in ms.
func (s *sharing) probe(ctx context.Context, until time.Time) (starts, stops []float64, err error) {
	const rest = 50 * time.Millisecond
	conn, err := dns.Dial("udp", s.reader.Addr)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	for len(starts) == 0 || time.Now().Before(until) {
		i := s.next
		s.next++
		for _, step := range []struct {
			method string
			has    bool
			took   *[]float64
		}{{"Start", true, &starts}, {"Stop", false, &stops}} {
			begin := time.Now()
			if err := s.tellers.call(step.method, i, nil); err != nil {
				return nil, nil, err
			}
			if err := seen(conn, existing(i), step.has); err != nil {
				return nil, nil, err
			}
			*step.took = append(*step.took, float64(time.Since(begin))/1e6)
			select {
			case <-time.After(rest):
			case <-ctx.Done():
				return nil, nil, context.Cause(ctx)
			}
		}
	}
	return starts, stops, nil
}

// seen asks again and again until the name has an address, or has none.
func seen(conn *dns.Conn, q question, has bool) error {
	client := dns.Client{Timeout: time.Second}
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Microsecond) {
		m, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(q.name, q.qtype), conn)
		if err == nil && len(m.Answer) > 0 == has {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not what it is to be after %v: %v, %s", q.name, patience, err, m)
		}
	}
}

// ask has both servers asked for the same names, and a plugin that does nothing but write one ready-made message: what no answer of
// CoreDNS's costs less than.
func (s *sharing) ask(ctx context.Context) error {
	names := make([]int, s.names)
	for i := range names {
		names[i] = i * s.all() / s.names
	}
	var questions []question
	for _, i := range names {
		questions = append(questions, existing(i))
	}
	l := load{data: filepath.Join(s.dir, "questions"), seconds: 1, cpu: -1}
	var err error
	if l.from, err = rig.FreePort("127.0.0.1"); err != nil {
		return err
	}
	if err := errors.Join(writeQuestions(l.data, questions), s.writeSkyDNS(ctx)); err != nil {
		return err
	}
	if err := s.measureEtcd(ctx, "and a name of each container for etcd"); err != nil {
		return err
	}
	servers := []*rig.Server{s.reader.Server}
	for _, c := range []rig.Config{
		{Binary: s.product, Body: fmt.Sprintf("etcd docker. {\npath /skydns\nendpoint %s\n}\n", s.etcd.URLs())},
		{Binary: s.stock, Body: fmt.Sprintf("floor NOERROR %q\n", hostRecord(0))},
	} {
		c.Dir = s.dir
		server, err := rig.Serve(c)
		if err != nil {
			return err
		}
		s.ends = append(s.ends, func() error { return server.Stop(patience) })
		servers = append(servers, server)
	}
	if err := s.same(servers[:2], questions); err != nil {
		return err
	}
	samples := make([]querySample, len(servers))
	for round := range s.rounds {
		fmt.Fprintln(os.Stderr, "queries: round", round+1)
		for i := range servers {
			i = (i + round) % len(servers)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := s.askSlice(servers[i], l, &samples[i]); err != nil {
				return err
			}
		}
	}
	t := table{Title: fmt.Sprintf("one query, type A, %d names of %d", s.names, s.all()), Columns: []column{
		{Title: "server CPU, µs", Digits: 1}, {Title: "× docker", Digits: 1, Plot: true, Line: 20}, {Title: "etcd's CPU, µs", Digits: 1}, {Title: "both, × docker", Digits: 1, Plot: true, Line: 20}, {Title: "queries/s"},
		{Title: fmt.Sprintf("p50 at %d/s, µs", askRate)}, {Title: "× docker", Digits: 1, Plot: true, Line: 20}, {Title: "p99, µs"}, {Title: "× docker", Digits: 1},
	}}
	for i, name := range []string{"docker", "etcd", "floor"} {
		q, ours := samples[i], samples[0]
		t.add(name, estimateOf(q.cpu), estimateOf(ratios(q.cpu, ours.cpu)), estimateOf(q.etcd), estimateOf(ratios(sums(q.cpu, q.etcd), ours.cpu)), estimateOf(q.perSecond),
			estimateOf(q.p50), estimateOf(ratios(q.p50, ours.p50)), estimateOf(q.p99), estimateOf(ratios(q.p99, ours.p99)))
	}
	s.report.Tables = append(s.report.Tables, t, s.sizes)
	return nil
}

// sums adds pair by pair.
func sums(a, b []float64) []float64 {
	all := slices.Clone(a)
	for i := range all {
		all[i] += b[i]
	}
	return all
}

// askRate is how many queries a second there are for latencies: so few that neither server, nor etcd, is busy.
const askRate = 500

// querySample has a value for each round.
type querySample struct{ cpu, etcd, perSecond, p50, p99 []float64 } // µs for each query, but for perSecond

// askSlice asks a server as often as it answers, and then at the fixed rate.
func (s *sharing) askSlice(server *rig.Server, l load, q *querySample) error {
	before, err1 := cpuTime(server.Process)
	use, err2 := s.usage()
	got, err3 := dnsperf(server.Addr, l)
	after, err4 := cpuTime(server.Process)
	now, err5 := s.usage()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	n, members := float64(got.completed), len(s.etcd.Members)
	q.cpu, q.perSecond = append(q.cpu, float64(after-before)/1e3/n), append(q.perSecond, got.perSecond)
	q.etcd = append(q.etcd, float64(now.etcd(members)-use.etcd(members))/1e3/n)
	l.rate, l.latencies = askRate, true
	paced, err := dnsperf(server.Addr, l)
	if err != nil {
		return err
	}
	if wrong := got.completed + paced.completed - got.rcodes["NOERROR"] - paced.rcodes["NOERROR"]; wrong > 0 {
		return fmt.Errorf("%s: %d of the answers are none", server.Addr, wrong)
	}
	q.p50, q.p99 = append(q.p50, paced.percentile(0.5)), append(q.p99, paced.percentile(0.99))
	return nil
}

// writeSkyDNS writes each container's name as CoreDNS's plugin etcd reads them, with the address that ours answers. The last part of
// the key is what lets a name have several records: a name without it costs two questions of etcd.
func (s *sharing) writeSkyDNS(ctx context.Context) error {
	var puts []clientv3.Op
	for i := range s.all() {
		puts = append(puts, clientv3.OpPut(fmt.Sprintf("/skydns/docker/%s/1", containerName(i)), fmt.Sprintf(`{"host":"%s","ttl":5}`, hostAt(i/s.containers))))
	}
	for some := range slices.Chunk(puts, 100) {
		if _, err := s.client.Txn(ctx).Then(some...).Commit(); err != nil {
			return err
		}
	}
	return nil
}

// same checks that the servers' answers are the same, and are right.
func (s *sharing) same(servers []*rig.Server, questions []question) error {
	for i := 0; i < len(questions); i += max(1, len(questions)/100) {
		want := hostAt(i * s.all() / s.names / s.containers)
		for _, server := range servers {
			var got string
			err := server.Await(patience, func() error {
				m, err := dns.Exchange(new(dns.Msg).SetQuestion(questions[i].name, questions[i].qtype), server.Addr)
				if err == nil && len(m.Answer) == 1 {
					got = m.Answer[0].(*dns.A).A.String()
				}
				if got != want {
					return fmt.Errorf("%s is %q, want %s: %v", questions[i].name, got, want, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
