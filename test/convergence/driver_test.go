package convergence

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// operator operates an engine's containers. Its calls return when they are done.
type operator interface {
	socket() string // of the engine's API
	create(enginetest.Spec) (id string, err error)
	start(id string) error
	stop(id string) error
	kill(id string) error
	restart(id string) error
	pause(id string) error
	unpause(id string) error
	remove(id string) error
	rename(id, name string) error
	connect(id string, a enginetest.Attachment) error
	disconnect(id, network string) error
	setHealth(id string, well bool) error
	// addrs are the container's addresses by network.
	addrs(id string) (map[string][]netip.Addr, error)
	// down takes the engine's API away until up, where that can be done.
	down() error
	up() error
}

// box is a place for a container of one engine. One worker alone uses it.
type box struct {
	place
	id              string // "" is empty
	running, paused bool
	sick            bool
	spec            enginetest.Spec

	touched bool // since the last quiet point
}

// place is where containers may run.
type place struct {
	op operator
	on *host
}

// driver changes the containers of engines at random.
type driver struct {
	places []place
	suffix string
	waits  bool     // a container may be made and not started
	boxes  [][]*box // by worker
	names  [][]string
	rngs   []*rand.Rand
	pause  time.Duration // bounds the time between two operations of a worker

	networks  []string
	hostnames []string
	aliases   []string

	legal *legal

	mu  sync.Mutex
	log []string
}

const (
	workers   = 4
	perWorker = 3 // on each engine
)

func newDriver(places []place, seed uint64, suffix string, networks []string, pause time.Duration, waits bool) *driver {
	d := &driver{places: places, suffix: suffix, waits: waits, networks: networks, pause: pause, legal: newLegal(views(places))}
	for w := range workers {
		var boxes []*box
		for _, p := range places {
			for range perWorker {
				boxes = append(boxes, &box{place: p})
			}
		}
		d.boxes = append(d.boxes, boxes)
		// Names differ from others only in the underscore, so that twins clash.
		d.names = append(d.names, []string{
			d.name("w%d_a", w), d.name("w%d-a", w), d.name("w%d_b", w), d.name("w%d-b", w), d.name("w%dc", w), d.name("w%d_d", w),
		})
		d.rngs = append(d.rngs, rand.New(rand.NewPCG(seed, uint64(w)+100)))
	}
	// Some are containers' own names and twins, so that they clash too.
	d.hostnames = []string{"", "", d.name("db"), d.name("the_db"), d.names[0][0], d.names[1][1], d.names[2][4]}
	d.aliases = []string{d.name("db"), d.name("cache"), d.name("the_cache"), d.names[3][0], d.names[0][1]}
	for _, names := range d.names {
		d.legal.know(names...)
		for _, n := range networks {
			for _, name := range names {
				d.legal.know(name + "." + n)
			}
		}
		for _, p := range places {
			if p.on.label != "" {
				for _, n := range names {
					d.legal.know(n + "." + p.on.label)
				}
			}
		}
	}
	for _, a := range append(d.hostnames[2:], d.aliases...) { // some engines make an alias of a host name
		d.legal.know(a)
		for _, n := range networks {
			d.legal.know(a + "." + n)
		}
	}
	return d
}

// views are those of the first place's host, and with several of elsewhere too.
func views(places []place) []view {
	if len(places) == 1 {
		return []view{{own: places[0].on}}
	}
	return []view{{own: places[0].on, published: true, ttls: true}, {who: "elsewhere: ", published: true, ttls: true}}
}

func (d *driver) name(format string, args ...any) string {
	return fmt.Sprintf(format, args...) + "-" + d.suffix
}

// run does n operations, the workers in parallel.
func (d *driver) run(n int) error {
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		for _, b := range d.boxes[w] {
			b.touched = false
		}
		wg.Go(func() {
			for range (n + w) / workers {
				if errs[w] = d.step(w); errs[w] != nil {
					return
				}
				time.Sleep(time.Duration(d.rngs[w].Int64N(int64(d.pause))))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// untouched returns the running containers that no operation has touched since the last quiet point.
func (d *driver) untouched() (ids []string) {
	for _, boxes := range d.boxes {
		for _, b := range boxes {
			if b.running && !b.touched {
				ids = append(ids, b.id)
			}
		}
	}
	return ids
}

// step does one operation of a worker.
func (d *driver) step(w int) error {
	r := d.rngs[w]
	b := d.boxes[w][r.IntN(len(d.boxes[w]))]
	b.touched = true
	what, err := d.operate(r, w, b)
	d.mu.Lock()
	d.log = append(d.log, fmt.Sprintf("%s worker %d: %s %s %s", time.Now().Format("05.000"), w, what, b.spec.Name, b.on.label))
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s %s (%.12s): %w", what, b.spec.Name, b.id, err)
	}
	if b.running {
		return d.note(b)
	}
	return nil
}

// note tells what may be answered for the container now.
func (d *driver) note(b *box) error {
	addrs, err := b.op.addrs(b.id)
	if err != nil {
		return err
	}
	f := facts{on: b.on, published: published(b.spec), id: b.id, name: b.spec.Name, hostname: b.spec.Hostname}
	for _, a := range b.spec.Networks {
		// 20.10 makes the host name an alias.
		f.endpoints = append(f.endpoints, endpoint{a.Network, append(slices.Clone(a.Aliases), b.spec.Hostname), addrs[a.Network]})
		if b.spec.Hostname == "" {
			f.endpoints[len(f.endpoints)-1].aliases = a.Aliases
		}
	}
	d.legal.add(&f)
	return nil
}

// published returns the addresses at which the container's ports are published.
func published(s enginetest.Spec) (all []netip.Addr) {
	for _, p := range s.Publish {
		all = append(all, map[string]netip.Addr{publish4: netip.IPv4Unspecified(), publish6: netip.IPv6Unspecified()}[p])
	}
	return all
}

// A container's port at its host's addresses of a family.
const (
	publish4 = "0.0.0.0:8080:80/tcp"
	publish6 = "[::]:8080:80/tcp"
)

func (d *driver) operate(r *rand.Rand, w int, b *box) (what string, err error) {
	switch {
	case b.id == "":
		return d.make(r, w, b)
	case b.paused:
		switch r.IntN(4) {
		case 0, 1:
			b.paused = false
			return "unpause", b.op.unpause(b.id)
		case 2:
			return d.rename(r, w, b)
		default:
			return d.remove(b)
		}
	case !b.running:
		switch r.IntN(8) {
		case 0:
			return d.remove(b)
		case 1:
			return d.rename(r, w, b)
		case 2:
			return d.rewire(r, b)
		case 3:
			b.running = true
			return "restart (start)", b.op.restart(b.id)
		default:
			b.running = true
			return "start", b.op.start(b.id)
		}
	}
	switch r.IntN(12) {
	case 0:
		b.running = false
		return "stop", b.op.stop(b.id)
	case 1:
		b.running = false
		return "kill", b.op.kill(b.id)
	case 2, 3:
		return "restart", b.op.restart(b.id)
	case 4:
		return d.rename(r, w, b)
	case 5:
		b.paused = true
		return "pause", b.op.pause(b.id)
	case 6:
		return d.remove(b)
	case 7:
		return d.move(w, b)
	case 8, 9:
		if b.spec.Health != "" {
			b.sick = !b.sick
			return fmt.Sprintf("health well=%t", !b.sick), b.op.setHealth(b.id, !b.sick)
		}
		return d.rewire(r, b)
	default:
		return d.rewire(r, b)
	}
}

// free returns a name that none of the worker's containers has on the host.
func (d *driver) free(r *rand.Rand, w int, on *host) string {
	for {
		if name := d.names[w][r.IntN(len(d.names[w]))]; !d.taken(w, on, name) {
			return name
		}
	}
}

// taken reports whether one of the worker's containers on the host has the name.
func (d *driver) taken(w int, on *host, name string) bool {
	return slices.ContainsFunc(d.boxes[w], func(b *box) bool { return b.on == on && b.id != "" && b.spec.Name == name })
}

func (d *driver) attachment(r *rand.Rand, network string) enginetest.Attachment {
	a := enginetest.Attachment{Network: network}
	for range r.IntN(3) {
		if alias := d.aliases[r.IntN(len(d.aliases))]; !slices.Contains(a.Aliases, alias) {
			a.Aliases = append(a.Aliases, alias)
		}
	}
	return a
}

func (d *driver) make(r *rand.Rand, w int, b *box) (string, error) {
	s := enginetest.Spec{
		Name: d.free(r, w, b.on), Hostname: d.hostnames[r.IntN(len(d.hostnames))], Health: []string{"starting", ""}[r.IntN(2)],
		Labels: map[string]string{mark: d.suffix},
	}
	for _, i := range r.Perm(len(d.networks))[:1+r.IntN(2)] {
		s.Networks = append(s.Networks, d.attachment(r, d.networks[i]))
	}
	if len(d.places) > 1 {
		s.Publish = [][]string{nil, {publish4}, {publish4, publish6}}[r.IntN(3)]
	}
	if err := d.create(b, s); err != nil || r.IntN(6) == 0 && d.waits {
		return "create", err
	}
	b.running = true
	return "run", b.op.start(b.id)
}

func (d *driver) create(b *box, s enginetest.Spec) error {
	id, err := b.op.create(s)
	if err != nil {
		return err
	}
	*b = box{place: b.place, id: id, spec: s, touched: true}
	d.legal.knowID(id[:12])
	return nil
}

func (d *driver) remove(b *box) (string, error) {
	err := b.op.remove(b.id)
	*b = box{place: b.place, spec: b.spec, touched: true}
	return "remove", err
}

// move has the container run on another host, if it is on networks that are there too, and there is one on which the worker has
// an empty box and its name is free.
func (d *driver) move(w int, b *box) (string, error) {
	i := slices.IndexFunc(d.boxes[w], func(to *box) bool { return to.on != b.on && to.id == "" && !d.taken(w, to.on, b.spec.Name) })
	if i < 0 || len(b.spec.Networks) == 0 {
		return d.remove(b)
	}
	to := d.boxes[w][i]
	if what, err := d.remove(b); err != nil {
		return what, err
	}
	if err := d.create(to, b.spec); err != nil {
		return "move", err
	}
	to.running = true
	if err := to.op.start(to.id); err != nil {
		return "move", err
	}
	return "move to " + to.on.label, d.note(to)
}

func (d *driver) rename(r *rand.Rand, w int, b *box) (string, error) {
	name := d.free(r, w, b.on)
	old := b.spec.Name
	b.spec.Name = name
	return "rename " + old + " to", b.op.rename(b.id, name)
}

// rewire takes the container out of a network, or puts it into one.
func (d *driver) rewire(r *rand.Rand, b *box) (string, error) {
	network := d.networks[r.IntN(len(d.networks))]
	has := func(a enginetest.Attachment) bool { return a.Network == network }
	if slices.ContainsFunc(b.spec.Networks, has) {
		if len(b.spec.Networks) == 1 && len(b.spec.Publish) > 0 { // an engine may still say that its ports are published
			return "keep on " + network, nil
		}
		b.spec.Networks = slices.DeleteFunc(slices.Clone(b.spec.Networks), has)
		return "disconnect " + network, b.op.disconnect(b.id, network)
	}
	a := d.attachment(r, network)
	b.spec.Networks = append(slices.Clone(b.spec.Networks), a)
	return fmt.Sprintf("connect %s %q", network, a.Aliases), b.op.connect(b.id, a)
}
