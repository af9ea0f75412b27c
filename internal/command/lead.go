package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/resolver"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

func (c *call) resolverInstall(ctx context.Context, s *client) int {
	return c.install(ctx, s, thisMachine())
}

func (c *call) resolverStatus(ctx context.Context, s *client) int {
	return c.led(ctx, s, thisMachine())
}

func (c *call) resolverRemove(ctx context.Context, _ *client) int {
	return c.remove(ctx, thisMachine())
}

// install has the machine's resolver ask the server.
func (c *call) install(ctx context.Context, s *client, m *machine) int {
	t, code, err := c.target(ctx, s)
	switch {
	case code == exitNoServer:
		return c.noAnswer(s, fmt.Errorf("%w\n--server ADDRESS:PORT says where it is asked by DNS, if status is off", err))
	case err != nil:
		return c.fail(code, err)
	}
	kind, err := m.local.Find(ctx)
	if err != nil {
		return c.fail(exitFound, err)
	}
	if kind.ByHand != nil {
		return c.report([]finding{{Check: "resolver", Result: problem, Text: kind.Name + ": nothing is changed", Cure: kind.ByHand(t)}})
	}
	steps, err := m.local.Plan(kind, t)
	if err != nil {
		return c.fail(exitFound, err)
	}
	all := []finding{{Check: "resolver", Result: well, Text: kind.Name}}
	if slices.ContainsFunc(steps, inTheWay) {
		for _, step := range steps {
			if inTheWay(step) {
				all = append(all, finding{Check: string(step.Action), Result: problem,
					Text: "/" + step.Path + " is not as install writes it, and is left; nothing is changed", Cure: "move it away, and run this again"})
			}
		}
		return c.report(all)
	}
	return c.report(append(all, c.carryOut(ctx, m.local, steps)...))
}

// inTheWay reports whether a file keeps ours from its place.
func inTheWay(s resolver.Step) bool {
	return s.Wanted && (s.Action == resolver.Edited || s.Action == resolver.Taken)
}

// remove takes away what install has written.
func (c *call) remove(ctx context.Context, m *machine) int {
	steps, err := m.local.Plan(nil, resolver.Target{})
	if err != nil {
		return c.fail(exitFound, err)
	}
	all := c.carryOut(ctx, m.local, steps)
	if kind, err := m.local.Find(ctx); err == nil && kind.Undo != "" {
		all = append(all, finding{Check: "resolver", Result: note, Text: kind.Name + ": nothing is changed", Cure: "as administrator, in PowerShell:\n" + kind.Undo})
	}
	if all == nil {
		all = []finding{{Check: "remove", Result: well, Text: "no file of install's is there"}}
	}
	return c.report(all)
}

// carryOut does the steps, and has the resolvers read their files anew; with --dry-run it says what it would do.
func (c *call) carryOut(ctx context.Context, m *resolver.Machine, steps []resolver.Step) (all []finding) {
	would := ""
	if c.options.dryRun {
		would = "would be done: "
	}
	done := steps[:0:0]
	for _, s := range steps {
		f := finding{Check: string(s.Action), Result: well, Text: would + "/" + s.Path}
		switch s.Action {
		case resolver.Edited:
			f.Result, f.Text, f.Cure = problem, "/"+s.Path+" is no longer as install wrote it, and is left", "remove it by hand if it is not wanted"
		case resolver.Keep:
			f.Text = "/" + s.Path + " is as it should be"
		case resolver.Write:
			f.Text += "\n" + strings.TrimSpace(s.Text)
		}
		if err := c.unlessDry(func() error { return m.Do(s) }); err != nil {
			f.Result, f.Text = problem, err.Error()
			if errors.Is(err, fs.ErrPermission) {
				f.Cure = "run this as root"
			}
		} else {
			done = append(done, s)
		}
		all = append(all, f)
	}
	for _, s := range resolver.Reloads(done) {
		f := finding{Check: "reload", Result: well, Text: would + s.Command()}
		if !m.Reloadable(s) {
			f.Result, f.Text, f.Cure = note, "'"+s.Command()+"' does not work here", "restart "+s.Name+" as it was started"
		} else if err := c.unlessDry(func() error { return m.Reload(ctx, s) }); err != nil {
			f.Result, f.Text, f.Cure = problem, fmt.Sprintf("%s: %v", s.Command(), err), "until it is done what was before holds"
		}
		all = append(all, f)
	}
	return all
}

func (c *call) unlessDry(do func() error) error {
	if c.options.dryRun {
		return nil
	}
	return do()
}

// led says what the machine's resolver is, what install has written, and whether it leads to the server.
func (c *call) led(ctx context.Context, s *client, m *machine) int {
	var all []finding
	add := func(check string, f ...finding) {
		for _, f := range f {
			f.Check = check
			all = append(all, f)
		}
	}
	kind, err := m.local.Find(ctx)
	if err != nil {
		return c.fail(exitFound, err)
	}
	add("resolver", found(well, "", "%s", kind.Name))
	steps, err := m.local.Plan(nil, resolver.Target{})
	if err != nil {
		return c.fail(exitFound, err)
	}
	for _, step := range steps {
		if step.Action == resolver.Edited {
			add("file", found(note, "", "/%s is no longer as install wrote it", step.Path))
		} else {
			add("file", found(well, "", "/%s\n%s", step.Path, strings.TrimSpace(step.Text)))
		}
	}
	if len(steps) == 0 {
		add("file", found(note, "", "install has written none"))
	}
	d := &doctor{machine: m, program: c.program, server: s}
	if f := d.status(ctx); d.blocks == nil {
		add("leads", found(note, "", "whether names come from the server can't be told, since it does not tell its own: %s", f[0].Text))
	}
	add("leads", d.resolver(ctx)...)
	return c.report(all)
}

// target is where the machine's resolver is to be led: as the flags say, else where the server says that it is asked. The code is
// that of the error.
func (c *call) target(ctx context.Context, s *client) (t resolver.Target, code int, err error) {
	for _, z := range c.options.zones {
		t.Zones = append(t.Zones, dns.CanonicalName(z))
	}
	slices.Sort(t.Zones)
	t.Zones = slices.Compact(t.Zones)
	if c.options.server == "" {
		var is status.Overview
		if err := (&doctor{server: s}).read(ctx, "/", nil, &is); err != nil {
			return t, exitNoServer, err
		}
		if t, err = whereAsked(is.Blocks, t.Zones); err != nil {
			return t, exitFound, err
		}
	} else if t.Server, err = dnsAddress("server", c.options.server); err != nil {
		return t, exitUsage, err
	}
	if len(t.Zones) == 0 {
		t.Zones = []string{defaultZone}
	}
	return t, exitUsage, t.Check()
}

// defaultZone is that of our examples.
const defaultZone = "docker."

// whereAsked returns the first block that is asked by DNS for the zones, or without any for one that is not all names: an address
// of this machine alone, if it has one.
func whereAsked(blocks []status.Info, zones []string) (t resolver.Target, err error) {
	var served []string
	for _, b := range blocks {
		own := slices.DeleteFunc(slices.Clone(b.Zones), func(z string) bool { return z == "." || zone.IsReverse(z) })
		served = append(served, b.Zones...)
		addrs := addrsOf(&b)
		if len(addrs) == 0 || len(zones) == 0 && len(own) == 0 || slices.ContainsFunc(zones, func(z string) bool {
			return !slices.ContainsFunc(b.Zones, func(parent string) bool { return dns.IsSubDomain(parent, z) })
		}) {
			continue
		}
		i := max(0, slices.IndexFunc(addrs, func(a netip.AddrPort) bool { return a.Addr().IsLoopback() }))
		t.Server, err = netip.ParseAddrPort(reachable(addrs[i]))
		if t.Zones = zones; len(zones) == 0 {
			t.Zones = own
		}
		return t, err
	}
	want := "a zone other than the root by DNS: name one with --zone"
	if len(zones) > 0 {
		want = fmt.Sprintf("%s by DNS in one server block", strings.Join(zones, " "))
	}
	return t, fmt.Errorf("the server does not serve %s; it serves %s", want, strings.Join(served, " "))
}

// dnsAddress reads a flag's ADDRESS or ADDRESS:PORT.
func dnsAddress(flag, value string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil {
		return netip.AddrPortFrom(a, dnsPort), nil
	}
	a, err := netip.ParseAddrPort(value)
	if err != nil {
		return a, fmt.Errorf("--%s '%s' is no address: want ADDRESS or ADDRESS:PORT, as 127.0.0.1:1053", flag, value)
	}
	return a, nil
}
