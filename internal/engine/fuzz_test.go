package engine

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// answering is a docker whose engine answers every call with the body. No connection is made.
func answering(t testing.TB, body []byte) *docker {
	t.Helper()
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
		}, nil
	})
	d, err := newDocker("", newRecorder(), transport, client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// recorded adds what real engines said as seeds.
func recorded(f *testing.F, pattern string, add func(content []byte)) {
	f.Helper()
	files, err := filepath.Glob("../enginetest/testdata/*/" + pattern)
	if err != nil || len(files) == 0 {
		f.Fatalf("no recordings %s (%v)", pattern, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		add(content)
	}
}

func FuzzInspect(f *testing.F) {
	recorded(f, "inspect-*.json", func(content []byte) { f.Add(content) })
	for _, s := range []string{
		"", "null", "{}", "[]", `{"Id":null,"State":null}`,
		`{"Id":"a","State":{"Running":true},"Config":{},"HostConfig":{}}`,
		`{"Id":"a","State":{"Running":true},"Config":{"ExposedPorts":{"":{},"/":{},"80":{},"080/TCP":{},"1-9/udp":{},"70000/tcp":{}}},"HostConfig":{},
		  "NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"::ffff:0.0.0.0","HostPort":"80"},{"HostIp":"x","HostPort":"-1"},null],"80/TCP":null},
		  "Networks":{"":null,"b":{"IPAddress":"fd00::1","GlobalIPv6Address":"::ffff:10.0.0.1"},"a":{"IPAddress":"::ffff:0.0.0.0","GlobalIPv6Address":"fe80::1%eth0"}}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var asked struct{ ID string }
		_ = json.Unmarshal(body, &asked)
		d := answering(t, body)
		first, err := d.inspect(t.Context(), asked.ID)
		if err != nil || first.Facts == nil {
			return
		}
		if first.Facts.ID != asked.ID {
			t.Fatalf("facts of container %q, asked for %q", first.Facts.ID, asked.ID)
		}
		validEndpoints(t, first.Facts.Endpoints)
		validPorts(t, first.Facts.Ports)
		// What is said twice is the same: else every look would be a change.
		if second, err := d.inspect(t.Context(), asked.ID); err != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("the same answer, read twice: %+v, %+v (%v)", first.Facts, second.Facts, err)
		}
	})
}

func validEndpoints(t *testing.T, endpoints []container.Endpoint) {
	t.Helper()
	for i, ep := range endpoints {
		if i > 0 && endpoints[i-1].Network >= ep.Network {
			t.Fatalf("endpoints are not in order of their networks: %+v", endpoints)
		}
		for _, addrs := range [][]netip.Addr{ep.Addrs, ep.Gateways} {
			for j, ip := range addrs {
				if !ip.IsGlobalUnicast() || ip.Is4In6() || ip.Zone() != "" || ip == netip.IPv4Unspecified() {
					t.Fatalf("no address of a container: %s", ip)
				}
				if j > 0 && (addrs[0].Is6() || ip.Is4() || j > 1) {
					t.Fatalf("not at most one address of each family, IPv4 first: %s", addrs)
				}
			}
		}
	}
}

func validPorts(t *testing.T, ports []container.Port) {
	t.Helper()
	for i, p := range ports {
		if p.Number == 0 || p.Proto != "tcp" && p.Proto != "udp" && p.Proto != "sctp" {
			t.Fatalf("no port: %+v", p)
		}
		if i > 0 && cmp.Or(cmp.Compare(ports[i-1].Proto, p.Proto), cmp.Compare(ports[i-1].Number, p.Number)) >= 0 {
			t.Fatalf("ports twice or not in order: %+v", ports)
		}
		for j, at := range p.Published {
			if !at.IsValid() || at.Port() == 0 || at.Addr().IsLoopback() || at.Addr().Is4In6() || j > 0 && p.Published[j-1].Compare(at) >= 0 {
				t.Fatalf("published at %v", p.Published)
			}
		}
	}
}

func FuzzList(f *testing.F) {
	recorded(f, "list.json", func(content []byte) { f.Add(content) })
	for _, s := range []string{"", "null", "[]", "{}", "[null,1,{},[]]", `[{"Id":1,"Names":[null],"NetworkSettings":{"Networks":{"a":null}}}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := answering(t, body).list(t.Context())
		if err != nil && list != nil {
			t.Fatal("a list and an error")
		}
		for _, s := range list {
			if !isID(s.ID) || strings.Contains(s.Name, "/") {
				t.Fatalf("container %q named %q", s.ID, s.Name)
			}
			validEndpoints(t, s.Endpoints)
		}
	})
}

func FuzzNetworks(f *testing.F) {
	recorded(f, "networks.json", func(content []byte) { f.Add(content) })
	for _, s := range []string{
		"", "null", "[null]", `[{"IPAM":{"Config":[null,{"Subnet":"255.255.255.255/32"},{"Subnet":"::ffff:1.2.3.4/120","Gateway":"fe80::1%x"}]}}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		networks, err := answering(t, body).networks(t.Context())
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(networks, func(a, b container.Network) int { return cmp.Compare(a.ID, b.ID) }) {
			t.Fatalf("not in order: %+v", networks)
		}
		for _, n := range networks {
			for _, p := range n.Subnets {
				if !p.IsValid() || p != p.Masked() {
					t.Fatalf("subnet %s", p)
				}
			}
			for _, ip := range n.Gateways {
				if !ip.IsValid() || ip.Zone() != "" || ip.Is4In6() {
					t.Fatalf("gateway %s", ip)
				}
			}
		}
	})
}

// FuzzEvent reads a whole stream: events until one can't be read.
func FuzzEvent(f *testing.F) {
	recorded(f, "events*.jsonl", func(content []byte) {
		for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
			var step struct{ Events []json.RawMessage }
			if json.Unmarshal(lines.Bytes(), &step) == nil {
				f.Add(bytes.Join(asBytes(step.Events), []byte("\n")))
			}
		}
	})
	for _, s := range []string{
		"", "null", "{}", "[]", "{}{}", `{"Type":"network","Action":"connect","Actor":null}`,
		`{"Type":"container","Action":"exec_start: a: b","Actor":{"ID":"../x","Attributes":null},"timeNano":9223372036854775807}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		events, err := answering(t, body).events(ctx, time.Unix(0, 0))
		for err == nil {
			var e event
			if e, err = events.next(ctx); err != nil {
				break
			}
			if e.container != "" && !isID(e.container) {
				t.Fatalf("container %q", e.container)
			}
			if strings.Contains(e.Action, ":") {
				t.Fatalf("action %q has arguments", e.Action)
			}
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("the stream has no end")
		}
	})
}

func asBytes(messages []json.RawMessage) [][]byte {
	out := make([][]byte, len(messages))
	for i, m := range messages {
		out[i] = m
	}
	return out
}
