package enginetest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
	"github.com/docker/go-units"
)

func (e *Engine) inspectAnswer(c *snapshot) inspectJSON {
	exposed, bindings := c.ports()
	a := inspectJSON{
		ID: c.id, Created: stamp(c.created), Path: "/idle", Args: []string{}, Image: c.imageID, Name: "/" + c.Name,
		Driver: "overlay2", Platform: "linux", Mounts: []string{},
		State: stateJSON{
			Status: c.status, Running: c.counted(), Paused: c.status == container.StatePaused,
			Restarting: c.status == container.StateRestarting, ExitCode: c.exitCode,
			StartedAt: stamp(c.started), FinishedAt: stamp(c.finished),
		},
		Config: configJSON{
			Hostname: c.Hostname, Domainname: c.Domainname, ExposedPorts: exposed, Env: c.Env, Cmd: []string{"/idle"},
			Image: c.Image, Labels: c.labels(), StopSignal: c.StopSignal, StopTimeout: c.StopTimeout,
		},
		HostConfig: hostConfigJSON{NetworkMode: c.mode, PortBindings: bindings, Sysctls: c.Sysctls, DNSSearch: c.DNSSearch},
	}
	if c.running() {
		a.State.Pid = 4711
	}
	if c.Health != "" {
		a.State.Health = &healthJSON{Status: c.Health, Log: []string{}}
		a.Config.Healthcheck = &struct{ Test []string }{[]string{"CMD", "/idle", "check"}}
	}
	if e.flavour == Podman {
		a.Config.Domainname = ""
		a.Config.StopSignal = strconv.Itoa(stopSignal(c))
	}
	a.NetworkSettings.Ports = nat.PortMap{}
	if c.running() && (c.mode == "bridge" || c.mode == "default" || len(c.endpoints) > 0 && c.endpoints[0].net.Driver == "bridge") {
		for p := range exposed {
			a.NetworkSettings.Ports[p] = bindings[p]
			if len(c.endpoints) > 0 && c.endpoints[0].net.mode(false) == "routed" { // no port of the host leads there
				for i := range bindings[p] {
					bindings[p][i] = nat.PortBinding{HostIP: "0.0.0.0"}
				}
			}
		}
	}
	a.NetworkSettings.Networks = e.endpoints(c, true)
	if p, ok := a.NetworkSettings.Networks["bridge"]; ok { // the default network's details are repeated here
		a.NetworkSettings.EndpointID, a.NetworkSettings.Gateway = p.EndpointID, p.Gateway
		a.NetworkSettings.IPAddress, a.NetworkSettings.MacAddress = p.IPAddress, p.MacAddress
	}
	return a
}

func (e *Engine) listAnswer(c *snapshot) listJSON {
	a := listJSON{
		ID: c.id, Names: []string{"/" + c.Name}, Image: c.Image, ImageID: c.imageID, Command: "/idle", Created: c.created.Unix(),
		Ports: []portJSON{}, Labels: c.labels(), State: c.status, Status: e.statusText(c), Mounts: []string{},
	}
	if e.flavour != Podman {
		a.HostConfig = &hostConfigJSON{NetworkMode: c.mode}
	}
	if c.running() && len(c.endpoints) > 0 && c.endpoints[0].net.Driver == "bridge" {
		a.Ports = c.portRows(e.flavour != Podman)
	}
	a.NetworkSettings.Networks = e.endpoints(c, false)
	return a
}

// endpoints is what container c shows of its networks; names: with the names in them, as in inspect. Docker's list has
// them null.
func (e *Engine) endpoints(c *snapshot, names bool) map[string]endpointJSON {
	if target, ok := strings.CutPrefix(c.mode, "container:"); ok && e.flavour == Podman { // it shows those of the other
		e.mu.RLock()
		other := e.find(target)
		if other != nil {
			c = other.now
		}
		e.mu.RUnlock()
	}
	shown := make(map[string]endpointJSON, len(c.endpoints))
	for i := range c.endpoints {
		p := &c.endpoints[i]
		j := endpointJSON{NetworkID: p.net.id, EndpointID: p.id}
		if c.status == container.StateCreated && e.flavour != Podman {
			j.NetworkID = "" // not known before the first start
		}
		if p.ip4.IsValid() {
			j.IPAddress, j.IPPrefixLen, j.Gateway = p.ip4.String(), p.net.v4.subnet.Bits(), e.gateway(p, p.net.v4)
			b := p.ip4.As4()
			j.MacAddress = fmt.Sprintf("02:42:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
		}
		if p.ip6.IsValid() {
			j.GlobalIPv6Address, j.GlobalIPv6PrefixLen, j.IPv6Gateway = p.ip6.String(), p.net.v6.subnet.Bits(), e.gateway(p, p.net.v6)
			j.MacAddress = cmp.Or(j.MacAddress, "02:42:00:00:00:06")
		}
		e.nameEndpoint(c, p, &j, names)
		shown[p.net.Name] = j
	}
	return shown
}

func (e *Engine) nameEndpoint(c *snapshot, p *endpoint, j *endpointJSON, names bool) {
	user := p.net.spans() || p.net.Driver == "bridge" && p.net.Name != "bridge" // the default network knows no names
	known := user && names && !c.started.IsZero()
	if user && names {
		j.Aliases = slices.Clone(p.Aliases)
	}
	switch e.flavour {
	case Podman:
		if p.net.Driver == "bridge" {
			j.Aliases = c.implicit("", p.Aliases...)
		}
		j.DNSNames = new([]string)
	case Docker28:
		j.GwPriority, j.DNSNames = new(int), new([]string)
		if known {
			*j.DNSNames = c.implicit(c.Name, p.Aliases...)
		}
	default:
		if known {
			j.Aliases = c.implicit("", p.Aliases...)
		}
	}
}

func (c *snapshot) labels() map[string]string {
	if c.Labels == nil {
		return map[string]string{}
	}
	return c.Labels
}

// ports are the exposed ports and what they are published to.
func (c *snapshot) ports() (nat.PortSet, nat.PortMap) {
	exposed, bindings, err := nat.ParsePortSpecs(c.Publish)
	if err != nil {
		panic(err)
	}
	for _, p := range c.ExposedPorts {
		exposed[nat.Port(p)] = struct{}{}
	}
	return exposed, bindings
}

// portRows are the published ports, and if asked for the others too.
func (c *snapshot) portRows(others bool) []portJSON {
	rows := []portJSON{}
	exposed, bindings := c.ports()
	for p := range exposed {
		row := portJSON{PrivatePort: uint16(p.Int()), Type: p.Proto()}
		if len(bindings[p]) == 0 && others {
			rows = append(rows, row)
		}
		for _, b := range bindings[p] {
			public, _ := strconv.ParseUint(b.HostPort, 10, 16)
			row.IP, row.PublicPort = cmp.Or(b.HostIP, "0.0.0.0"), uint16(public)
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b portJSON) int {
		return cmp.Or(cmp.Compare(a.PrivatePort, b.PrivatePort), cmp.Compare(a.Type, b.Type), cmp.Compare(a.IP, b.IP))
	})
	return rows
}

func (e *Engine) statusText(c *snapshot) string {
	switch c.status {
	case container.StateCreated:
		return "Created"
	case container.StateExited:
		return fmt.Sprintf("Exited (%d) %s ago", c.exitCode, units.HumanDuration(e.now().Sub(c.finished)))
	}
	if c.status == container.StateRestarting {
		return fmt.Sprintf("Restarting (%d) %s ago", c.exitCode, units.HumanDuration(e.now().Sub(c.finished)))
	}
	up := "Up " + units.HumanDuration(e.now().Sub(c.started))
	switch {
	case c.status == container.StatePaused:
		return up + " (Paused)"
	case c.Health == "" || e.flavour == Podman:
		return up
	case c.Health == container.Starting:
		return up + " (health: starting)"
	}
	return up + " (" + c.Health + ")"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return neverTime
	}
	return t.UTC().Format(timeFormat)
}
