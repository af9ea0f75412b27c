package swarm

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// What is of use of the engines' answers.
type (
	jsonVersion struct{ Index uint64 }

	jsonTask struct {
		ID      string
		Version jsonVersion

		ServiceID, NodeID, DesiredState string
		Slot                            int
		Status                          struct {
			State           string
			ContainerStatus struct{ ContainerID string }
			PortStatus      struct{ Ports []jsonPort }
		}
		NetworksAttachments []jsonAttachment
	}

	jsonAttachment struct {
		Network struct {
			ID   string
			Spec struct {
				Name                string
				Ingress             bool
				DriverConfiguration struct{ Name string }
			}
		}
		Addresses []string
	}

	jsonService struct {
		ID      string
		Version jsonVersion
		Spec    struct {
			Name         string
			Labels       map[string]string
			TaskTemplate struct {
				ContainerSpec struct{ Labels map[string]string }
				Networks      []jsonTarget
			}
			Networks     []jsonTarget // where clients of old have them
			Mode         struct{ Replicated struct{ Replicas int } }
			EndpointSpec struct{ Mode string }
		}
		Endpoint struct {
			Ports      []jsonPort
			VirtualIPs []struct{ NetworkID, Addr string }
		}
	}

	jsonTarget struct {
		Target  string // the network's ID, or its name, which some clients leave
		Aliases []string
	}

	jsonPort struct {
		Protocol, PublishMode     string
		TargetPort, PublishedPort uint32
	}

	jsonNode struct {
		ID            string
		Version       jsonVersion
		Description   struct{ Hostname string }
		Status        struct{ State, Addr string }
		ManagerStatus struct{ Addr string }
	}

	jsonInfo struct {
		Swarm struct {
			NodeID, LocalNodeState string
			ControlAvailable       bool
			Cluster                struct{ ID string }
		}
	}

	// jsonNetwork is an engine's: only where it is asked for one alone it has the services.
	jsonNetwork struct {
		ID       string `json:"Id"`
		Name     string
		Scope    string
		Ingress  bool
		Services map[string]struct {
			VIP   string
			Tasks []jsonNetworkTask
		}
	}

	jsonNetworkTask struct {
		Name, EndpointID, EndpointIP string
		Info                         struct {
			HostIP string `json:"Host IP"`
		}
	}
)

// object is one of a list's that has a version, which grows with each change of it.
type object interface {
	version() (id string, index uint64)
}

func (t *jsonTask) version() (string, uint64)    { return t.ID, t.Version.Index }
func (s *jsonService) version() (string, uint64) { return s.ID, s.Version.Index }
func (n *jsonNode) version() (string, uint64)    { return n.ID, n.Version.Index }

// list is a list that has been decoded. One that is the same as before is the same pointer.
type list[T any] struct{ all []T }

// reader decodes lists, and remembers the last one, since most are as before.
type reader[T any] struct {
	sum  uint64
	last *list[T]
}

var seed = maphash.MakeSeed()

// read returns the list of which the text tells.
func (r *reader[T]) read(text []byte) (*list[T], error) {
	sum := maphash.Bytes(seed, text)
	if r.last != nil && sum == r.sum {
		return r.last, nil
	}
	l := &list[T]{}
	if err := decode(text, &l.all); err != nil {
		return nil, err
	}
	r.sum, r.last = sum, l
	return l, nil
}

// decode decodes an answer, which is more than null.
func decode[T any](text []byte, into *T) error {
	if strings.TrimSpace(string(text[:min(len(text), 8)])) == "null" {
		return errors.New("the engine's answer is none")
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the engine's answer can't be read: %w", err)
	}
	return nil
}

// Bounds of what counts of one service: a Swarm's users write what they like.
const (
	maxAliases = 1024
	maxPorts   = 1024
	maxName    = 255       // of an alias, in octets: a name in DNS is no longer
	maxLabels  = 256 << 10 // of all labels together, in octets
)

func (p *jsonPort) facts() (container.ServicePort, bool) {
	proto := strings.ToLower(p.Protocol)
	ok := slices.Contains([]string{"tcp", "udp", "sctp"}, proto) && valid(p.TargetPort) && valid(p.PublishedPort)
	return container.ServicePort{Number: uint16(p.TargetPort), Proto: proto, Published: uint16(p.PublishedPort), Mesh: p.PublishMode != "host"}, ok
}

func valid(port uint32) bool { return port > 0 && port < 1<<16 }

// ports returns each of the ports once, in order. One without a published port is none.
func ports(all []jsonPort, meant func(container.ServicePort) bool) (ports []container.ServicePort) {
	for i := range all[:min(len(all), maxPorts)] {
		if p, ok := all[i].facts(); ok && meant(p) {
			ports = append(ports, p)
		}
	}
	slices.SortFunc(ports, comparePorts)
	return slices.Compact(ports)
}

// addrs returns the addresses, with or without their prefixes' lengths: the first of each family, IPv4 first.
func addrs(texts ...string) (addrs []netip.Addr) {
	for _, s := range texts {
		s, _, _ = strings.Cut(s, "/")
		ip, err := netip.ParseAddr(s)
		if ip = ip.Unmap(); err == nil && ip.IsGlobalUnicast() && ip.Zone() == "" &&
			!slices.ContainsFunc(addrs, func(o netip.Addr) bool { return o.Is4() == ip.Is4() }) {
			addrs = append(addrs, ip)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// labels returns the labels, none if they are too much.
func labels(all map[string]string) map[string]string {
	size := 0
	for key, value := range all {
		size += len(key) + len(value)
	}
	if len(all) == 0 || size > maxLabels {
		return nil
	}
	return all
}
