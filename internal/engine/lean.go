package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-connections/nat"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// What a container may have any number of is decoded without taking memory for more of it than counts.
const (
	// maxAliases bounds what is kept of a container's aliases on a network: engines know no bound.
	maxAliases = 1024
	// maxPorts bounds the ports of a container that count: an image may expose every one.
	maxPorts = 1024
	// maxSearch bounds the domains of a container's search list: resolvers used to take six, and each costs a look-up.
	maxSearch = 6
)

// aliasList is a list of aliases, of which the first ones are kept.
type aliasList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *aliasList) UnmarshalJSON(text []byte) (err error) {
	*l, err = firstTexts(text, maxAliases)
	return err
}

// searchList is a search list of a resolver, of which the first domains are kept.
type searchList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *searchList) UnmarshalJSON(text []byte) (err error) {
	*l, err = firstTexts(text, maxSearch)
	return err
}

// firstTexts returns the first texts of a list, of which other values are left out.
func firstTexts(list []byte, limit int) (texts []string, err error) {
	err = members(list, '[', func(_, value []byte) (bool, error) {
		var s string
		if json.Unmarshal(value, &s) == nil {
			texts = append(texts, s)
		}
		return len(texts) < limit, nil
	})
	return texts, err
}

// portKey is a port: its number, and its protocol's place in protocols.
type portKey uint32

var protocols = []string{"sctp", "tcp", "udp"}

func (k portKey) number() uint16 { return uint16(k >> 2) }
func (k portKey) proto() string  { return protocols[k&3] }

// parsePort reads a port as "80/tcp". What is no port of a known protocol is none.
func parsePort(text []byte) (portKey, bool) {
	number, proto, _ := bytes.Cut(text, []byte("/"))
	proto, _, _ = bytes.Cut(proto, []byte("/"))
	if len(proto) == 0 {
		proto = []byte("tcp")
	}
	n, err := strconv.ParseUint(string(number), 10, 16)
	i := slices.IndexFunc(protocols, func(p string) bool { return strings.EqualFold(p, string(proto)) })
	return portKey(int(n)<<2 | i), err == nil && n != 0 && i >= 0
}

// portSet is a set of ports, in any order: of very many those of the lowest numbers.
type portSet []portKey

func (s *portSet) add(k portKey) {
	if *s = append(*s, k); len(*s) < 4*maxPorts {
		return
	}
	slices.Sort(*s)
	*s = slices.Compact(*s)
	*s = (*s)[:min(len(*s), maxPorts)]
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *portSet) UnmarshalJSON(text []byte) error {
	*s = nil
	return members(text, '{', func(key, _ []byte) (bool, error) {
		if k, ok := parsePort(key); ok {
			s.add(k)
		}
		return true, nil
	})
}

// portMap says where ports are published, of those that are published the first ones. One that is published without a port of
// the host's, as in routed mode, is so nowhere.
type portMap struct {
	ports     portSet
	published map[portKey][]netip.AddrPort
}

// UnmarshalJSON implements json.Unmarshaler. What is published on the host's loopback is nobody else's: that address is left
// out.
func (m *portMap) UnmarshalJSON(text []byte) error {
	*m = portMap{published: map[portKey][]netip.AddrPort{}}
	return members(text, '{', func(key, value []byte) (bool, error) {
		k, ok := parsePort(key)
		if !ok {
			return true, nil
		}
		m.ports.add(k)
		if string(value) == "null" || len(m.published) == maxPorts {
			return true, nil
		}
		var bindings []nat.PortBinding
		if json.Unmarshal(value, &bindings) != nil || len(bindings) == 0 {
			return true, nil
		}
		m.published[k] = nil
		for _, b := range bindings[:min(len(bindings), maxPorts)] {
			ip, err := netip.ParseAddr(cmp.Or(b.HostIP, "0.0.0.0"))
			port, portErr := strconv.ParseUint(b.HostPort, 10, 16)
			if err == nil && portErr == nil && port != 0 && !ip.IsLoopback() {
				m.published[k] = append(m.published[k], netip.AddrPortFrom(ip.Unmap(), uint16(port)))
			}
		}
		return true, nil
	})
}

// fromPorts returns the ports that are exposed or published, of more than maxPorts the published ones and then those of
// the lowest numbers.
func fromPorts(exposed portSet, published portMap) []container.Port {
	all := slices.Concat(slices.Collect(maps.Keys(published.published)), exposed, published.ports)
	rank := func(k portKey) int { // published ones come first
		if _, ok := published.published[k]; ok {
			return 0
		}
		return 1
	}
	slices.SortFunc(all, func(a, b portKey) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	all = slices.Compact(all)
	all = all[:min(len(all), maxPorts)]
	slices.SortFunc(all, func(a, b portKey) int { return cmp.Or(cmp.Compare(a&3, b&3), cmp.Compare(a, b)) })
	var ports []container.Port
	for _, k := range all {
		at, open := published.published[k]
		slices.SortFunc(at, netip.AddrPort.Compare)
		ports = append(ports, container.Port{Number: k.number(), Proto: k.proto(), Published: slices.Compact(at), Open: open})
	}
	return ports
}

// members gives each member of an object, or element of a list, which has no key, to the function, until that says that it
// has enough. The text is valid JSON; if it does not begin with the opener it has none.
func members(text []byte, opener byte, each func(key, value []byte) (more bool, err error)) error {
	if text[0] != opener {
		return nil
	}
	for rest := text[1:]; ; {
		var key, value []byte
		if value, rest = cutValue(rest); value == nil {
			return nil
		}
		if opener == '{' {
			key = value[1 : len(value)-1]
			if bytes.IndexByte(key, '\\') >= 0 {
				var s string
				if err := json.Unmarshal(value, &s); err != nil {
					return err
				}
				key = []byte(s)
			}
			value, rest = cutValue(rest)
		}
		if more, err := each(key, value); err != nil || !more {
			return err
		}
	}
}

// cutValue cuts the next value from valid JSON inside of an object or a list, nil at its end.
func cutValue(text []byte) (value, rest []byte) {
	text = bytes.TrimLeft(text, " \t\r\n,:")
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return text[:i+1], text[i+1:]
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth == 0 && strings.IndexByte(" \t\r\n,:}]", c) >= 0: // a number's or word's end, or the whole's
			if i == 0 {
				return nil, nil
			}
			return text[:i], text[i:]
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return text[:i+1], text[i+1:]
			}
		}
	}
	return nil, nil
}
