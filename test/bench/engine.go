package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// engine measures how soon DNS says what a real engine does.
func engine(ctx context.Context, dir string, args []string) (err error) {
	set, out := newFlags("engine")
	running := set.String("running", "10,300", "numbers of containers that run besides")
	times := set.Int("times", 50, "starts, stop signals, deaths and disconnects")
	burst := set.Int("burst", 100, "containers that are started at once")
	repeats := set.Int("repeats", 5, "bursts and first reconciliations")
	if err := set.Parse(args); err != nil {
		return err
	}
	bins, err := build(dir)
	if err != nil {
		return err
	}
	e, err := openEngine(ctx, dir)
	if err != nil {
		return fmt.Errorf("a Docker Engine is needed: %w", err)
	}
	defer func() { err = errors.Join(err, e.remove()) }()
	version, err := e.ServerVersion(ctx)
	if err != nil {
		return err
	}
	l := latencies{engine: e, binary: bins.product, dir: dir, times: *times, burst: *burst, repeats: *repeats}
	l.tables = map[string]*table{}
	for n := range strings.SplitSeq(*running, ",") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			return fmt.Errorf("-running: %q is not a number of at least 1", n)
		}
		fmt.Fprintln(os.Stderr, n, "running")
		if err := e.ensure(ctx, count); err != nil {
			return err
		}
		if err := l.measure(ctx, n+" running"); err != nil {
			return err
		}
	}
	r := newReport("engine", "How soon DNS says what the engine does", args)
	r.note("Docker Engine %s. Medians with their 95 %% intervals. Questions are asked one after the other; one of them takes %s µs.",
		version.Version, estimateOf(l.trips).format(0))
	for _, title := range l.order {
		r.Tables = append(r.Tables, *l.tables[title])
	}
	return r.publish(*out)
}

// latencies is one run of bench engine.
type latencies struct {
	engine                *realEngine
	binary, dir           string
	times, burst, repeats int

	server *observed
	conn   *dns.Conn
	trips  []float64 // µs that single questions took

	tables map[string]*table
	order  []string
}

func (l *latencies) add(title string, columns []column, name string, values ...estimate) {
	if l.tables[title] == nil {
		l.tables[title] = &table{Title: title, Columns: columns}
		l.order = append(l.order, title)
	}
	l.tables[title].add(name, values...)
}

// measure measures all with the containers that run.
func (l *latencies) measure(ctx context.Context, name string) error {
	if err := l.first(ctx, name); err != nil {
		return fmt.Errorf("first reconciliation: %w", err)
	}
	if err := l.serve(); err != nil {
		return err
	}
	defer l.server.Stop(patience)
	defer l.conn.Close()
	if err := l.starts(ctx, name); err != nil {
		return fmt.Errorf("starts: %w", err)
	}
	if err := l.bursts(ctx, name); err != nil {
		return fmt.Errorf("burst: %w", err)
	}
	return l.ends(ctx, name)
}

// serve starts a coredns, which answers when this returns.
func (l *latencies) serve() (err error) {
	if l.server, err = observe(l.binary, l.dir, "endpoint "+l.engine.DaemonHost(), -1); err != nil {
		return err
	}
	if err := await(l.server.Server, address("bench-none"), dns.RcodeNameError); err != nil {
		return err
	}
	l.conn, err = dns.Dial("udp", l.server.Addr)
	return err
}

func address(name string) question { return question{name + ".docker.", dns.TypeA} }

// asked is an answer's addresses, and when it came.
type asked struct {
	addrs int
	at    time.Time
}

// ask asks one question. There is no second try: an answer lost is a fault.
func (l *latencies) ask(q question) (asked, error) {
	client := dns.Client{Timeout: patience}
	m, took, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(q.name, q.qtype), l.conn)
	if err != nil {
		return asked{}, err
	}
	l.trips = append(l.trips, float64(took)/1e3)
	return asked{len(m.Answer), time.Now()}, nil
}

// askPause is between two questions about what has not changed yet: the engine needs the machine too.
const askPause = 100 * time.Microsecond

// until asks until there are so many addresses.
func (l *latencies) until(q question, addrs int) (time.Time, error) {
	for deadline := time.Now().Add(patience); ; {
		a, err := l.ask(q)
		switch {
		case err != nil:
			return time.Time{}, err
		case a.addrs == addrs:
			return a.at, nil
		case a.at.After(deadline):
			return time.Time{}, fmt.Errorf("%s has %d addresses, want %d, after %v", q.name, a.addrs, addrs, patience)
		}
		// Not time.Sleep, by which an idle process sleeps whole milliseconds.
		pause := unix.NsecToTimespec(askPause.Nanoseconds())
		if err := unix.Nanosleep(&pause, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return time.Time{}, err
		}
	}
}

var timeColumns = []column{{Title: "median, ms", Digits: 2, Plot: true}, {Title: "p95, ms", Digits: 2}, {Title: "longest, ms", Digits: 2}}

// times are what timeColumns tell of a sample.
func times(sample []time.Duration) []estimate {
	ms := make([]float64, len(sample))
	for i, t := range sample {
		ms[i] = float64(t) / 1e6
	}
	slices.Sort(ms)
	return []estimate{estimateOf(ms), one(quantile(ms, 0.95)), one(ms[len(ms)-1])}
}

// starts measures from the start call's return. At every other start the question is one that could be
// answered long before: what is left of the time then is not the name's.
func (l *latencies) starts(ctx context.Context, name string) error {
	var lags [2][]time.Duration
	for i := range 2 * l.times {
		var known *question
		if i%2 == 1 {
			known = &l.engine.known
		}
		lag, err := l.start(ctx, known)
		if err != nil {
			return err
		}
		lags[i%2] = append(lags[i%2], lag)
	}
	const title = "start call returned → name answers"
	l.add(title, timeColumns, name, times(lags[0])...)
	l.add(title, timeColumns, name+", name known before", times(lags[1])...)
	return nil
}

// start has a container started and removed, and returns how long after the start call its name was answered, or the
// known one.
func (l *latencies) start(ctx context.Context, known *question) (time.Duration, error) {
	ids, qs, err := l.engine.createNamed(ctx, 1)
	if err != nil {
		return 0, err
	}
	q := qs[0]
	if known != nil {
		q = *known
	}
	if err := l.engine.start(ctx, ids[0]); err != nil {
		return 0, err
	}
	returned := time.Now()
	at, err := l.until(q, 1)
	return at.Sub(returned), errors.Join(err, l.engine.drop(ids[0]))
}

// bursts measures many starts at once, from the return of the last. The calls for other users of the
// engine are among those counted.
func (l *latencies) bursts(ctx context.Context, name string) error {
	var lags, calls []float64
	for range l.repeats {
		ids, qs, err := l.engine.createNamed(ctx, l.burst)
		if err != nil {
			return err
		}
		before, err := l.server.Metric("coredns_docker_api_calls_total")
		if err != nil {
			return err
		}
		if err := inParallel(len(ids), func(i int) error { return l.engine.start(ctx, ids[i]) }); err != nil {
			return err
		}
		returned := time.Now()
		if err := l.all(qs); err != nil {
			return err
		}
		lags = append(lags, float64(time.Since(returned))/1e6)
		after, err := l.server.Metric("coredns_docker_api_calls_total")
		if err != nil {
			return err
		}
		calls = append(calls, (after-before)/float64(l.burst))
		for _, id := range ids {
			if err := l.engine.drop(id); err != nil {
				return err
			}
		}
	}
	l.add(fmt.Sprintf("%d starts by %d workers → all names answer", l.burst, workers),
		[]column{{Title: "ms", Digits: 1, Plot: true, Line: 20}, {Title: "engine calls/container", Digits: 2}}, name, estimateOf(lags), estimateOf(calls))
	return nil
}

// all asks for all names at once, from one socket, until all have an address.
func (l *latencies) all(qs []question) error {
	conn, err := dns.Dial("udp", l.server.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline := time.Now().Add(patience)
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	for len(qs) > 0 {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d names do not answer after %v", len(qs), patience)
		}
		for i, q := range qs {
			m := new(dns.Msg).SetQuestion(q.name, q.qtype)
			m.Id = uint16(i)
			if err := conn.WriteMsg(m); err != nil {
				return err
			}
		}
		var left []question
		for range qs {
			m, err := conn.ReadMsg()
			if err != nil {
				return err
			}
			if len(m.Answer) == 0 {
				left = append(left, qs[m.Id])
			}
		}
		qs = left
	}
	return nil
}

// first measures the first reconciliation of new servers, against what a list and serial inspects
// of the same containers take.
func (l *latencies) first(ctx context.Context, name string) error {
	var took, bar, started []float64
	for range l.repeats {
		begin := time.Now()
		list, err := l.engine.ContainerList(ctx, container.ListOptions{})
		if err != nil {
			return err
		}
		listed := time.Since(begin)
		begin = time.Now()
		for i := range list {
			// Who else uses the engine may have removed it.
			if _, err := l.engine.ContainerInspect(ctx, list[i].ID); err != nil && ctx.Err() != nil {
				return err
			}
		}
		bar = append(bar, float64(listed)/1e6+0.7*float64(time.Since(begin))/1e6)
		begin = time.Now()
		if err := l.serve(); err != nil {
			return err
		}
		started = append(started, float64(time.Since(begin))/1e6)
		sum, err := l.server.Metric("coredns_docker_reconcile_duration_seconds_sum")
		l.conn.Close()
		if err := errors.Join(err, l.server.Stop(patience)); err != nil {
			return err
		}
		took = append(took, 1000*sum)
	}
	l.add("first reconciliation", []column{
		{Title: "ms", Digits: 1}, {Title: "list + 0.7 × serial inspects, ms", Digits: 1}, {Title: "ratio", Digits: 2, Plot: true, Line: 1},
		{Title: "process begins → answers, ms"},
	}, name, estimateOf(took), estimateOf(bar), estimateOf(ratios(took, bar)), estimateOf(started))
	return nil
}
