package convergence

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// fake is an operator of an enginetest.Engine, which panics over misuse.
type fake struct {
	*enginetest.Engine
	networks []string
}

// newFake starts an engine on this machine, or on another one.
func newFake(t *testing.T, seed uint64, here bool, networks []string) *fake {
	options := []enginetest.Option{enginetest.WithFlavour(enginetest.Flavour(seed % 3))}
	if seed%2 == 0 {
		options = append(options, enginetest.WithStartDelay(20*time.Millisecond))
	}
	e := enginetest.New(t, options...)
	e.AddNetwork(networks[0])
	e.AddNetwork(networks[1], "10.77.0.0/24")
	e.AddNetwork(networks[2], "192.168.77.0/24", "fd00:77::/64")
	if here {
		if err := e.RunHere(); err != nil {
			t.Fatal(err)
		}
	} else {
		e.AddNetwork("machine", "10.78.0.0/24")
		e.Run(enginetest.Spec{Name: "anchor", NetworkMode: "machine"})
	}
	return &fake{e, networks}
}

func (f *fake) socket() string { return strings.TrimPrefix(f.Host(), "unix://") }

func (f *fake) create(s enginetest.Spec) (string, error)         { return f.Create(s), nil }
func (f *fake) start(id string) error                            { f.Start(id); return nil }
func (f *fake) stop(id string) error                             { f.Stop(id); return nil }
func (f *fake) kill(id string) error                             { f.Kill(id, "KILL"); return nil }
func (f *fake) restart(id string) error                          { f.Restart(id); return nil }
func (f *fake) pause(id string) error                            { f.Pause(id); return nil }
func (f *fake) unpause(id string) error                          { f.Unpause(id); return nil }
func (f *fake) remove(id string) error                           { f.Remove(id); return nil }
func (f *fake) rename(id, name string) error                     { f.Rename(id, name); return nil }
func (f *fake) connect(id string, a enginetest.Attachment) error { f.Connect(id, a); return nil }
func (f *fake) disconnect(id, network string) error              { f.Disconnect(id, network); return nil }
func (f *fake) down() error                                      { return f.Down() }
func (f *fake) up() error                                        { return f.Up() }
func (f *fake) setHealth(id string, well bool) error {
	f.SetHealth(id, map[bool]string{true: "healthy", false: "unhealthy"}[well])
	return nil
}

func (f *fake) addrs(id string) (map[string][]netip.Addr, error) {
	addrs := map[string][]netip.Addr{}
	for _, n := range f.networks {
		for _, ip := range []netip.Addr{f.IP(id, n), f.IPv6(id, n)} {
			if ip.IsValid() {
				addrs[n] = append(addrs[n], ip)
			}
		}
	}
	return addrs, nil
}
