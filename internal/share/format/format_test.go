package format

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

var told = Labels{"com.docker.compose.", "org.example."}

func addrs(texts ...string) (all []netip.Addr) {
	for _, s := range texts {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// full returns a container that has all facts.
func full() *container.Container {
	return &container.Container{
		ID: strings.Repeat("0123456789abcdef", 4), Name: "shop-web-1", Hostname: "web", Domainname: "example.org", Image: "web:1",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC), Started: time.Date(2026, 1, 2, 3, 4, 6, 789, time.UTC),
		Labels: map[string]string{"com.docker.compose.project": "shop", "org.example.a": ""}, Untold: []string{"secret"}, NetworkMode: "shop_default",
		Endpoints: []container.Endpoint{
			{ID: "e1", Network: "shop_back", Aliases: []string{"web", "www"}, Addrs: addrs("10.1.0.2", "fd00::2"), Gateways: addrs("10.1.0.1", "fd00::1")},
			{ID: "e2", Network: "shop_default", Addrs: addrs("10.2.0.2"), Gateways: addrs("10.2.0.1")},
		},
		GWBridge: container.Endpoint{ID: "e3", Network: "docker_gwbridge", Addrs: addrs("172.18.0.2"), Gateways: addrs("172.18.0.1")},
		IPv6Off:  true,
		Search:   []string{"shop.docker", "docker"},
		Ports: []container.Port{
			{Number: 80, Proto: "tcp", Open: true, Published: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort("[::]:8080")}},
			{Number: 53, Proto: "udp"},
		},
		Paused: true, Health: container.Unhealthy, StopSignal: "SIGQUIT", StopTimeout: -time.Second, Stopping: true,
	}
}

func fullHost() *Host {
	return &Host{
		Engine: "ABCD:EFGH", Name: "nas", Addrs: addrs("192.0.2.1", "2001:db8::1"), Away: true,
		Facts: container.Host{Routed: true, Networks: []container.Network{
			{
				ID: "n1", Name: "shop_back", Driver: "bridge", Subnets: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/64")},
				Gateways: addrs("10.1.0.1", "fd00::1"), Compose: container.ComposeNetwork{Project: "shop", Short: "back"},
				Reach4: container.Unshared | container.Forwarded | container.Apart, Reach6: container.RoutedPorts | container.Routed, Outbound: container.NoWayOut,
			},
			{
				ID: "n2", Name: "shop_default", Driver: "overlay", Spans: true, Subnets: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")},
				Reach4: container.OffHost | container.OnLAN, Outbound: container.ApartOut,
			},
		}},
	}
}

// TestTold checks which labels are told, and which keys of the others.
func TestTold(t *testing.T) {
	labels := Labels{"org.example.", "=traefik.http.routers.*.rule", "=caddy", "=caddy_*"}
	for key, want := range map[string]bool{
		"org.example.x": true, "org.examples": false, "traefik.http.routers.web.rule": true, "Traefik.HTTP.routers.Web.rule": true,
		"traefik.http.routers.a.b.rule": false, "traefik.http.routers.web.rulesyntax": false, "traefik.http.middlewares.auth.basicauth.users": false,
		"caddy": true, "caddy_1": true, "caddy.basicauth.admin": false, "caddy_1.basicauth": false, "=caddy": false, "": false,
	} {
		if labels.told(key) != want {
			t.Errorf("%s is told: %t", key, !want)
		}
	}
}

// TestGolden holds what is written against what released versions have written: a field must not come to mean something else.
func TestGolden(t *testing.T) {
	host, err := EncodeHost(fullHost())
	if err != nil {
		t.Fatal(err)
	}
	c := full()
	c.Labels["secret"] = "x"
	running, err := EncodeContainer(&Container{Facts: c}, told)
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string][]byte{"host.json": host, "container.json": running} {
		want, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := errors.Join(json.Unmarshal(got, &a), json.Unmarshal(want, &b)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: written is\n%s\nwant\n%s", file, got, want)
		}
	}
}

// TestReadGolden reads what released versions have written, to which a later one of this version has added a field.
func TestReadGolden(t *testing.T) {
	read := func(file string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.Replace(string(b), "{", `{"later": {"x": [1]},`, 1))
	}
	h, err := DecodeHost(read("host.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(h, fullHost()) {
		t.Errorf("host\n%+v, want\n%+v", h, fullHost())
	}
	c, err := DecodeContainer(read("container.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Facts.Equal(full()) || c.Created || c.Unread != "" || c.ID != full().ID || c.Name != full().Name {
		t.Errorf("container\n%+v, want\n%+v", c.Facts, full())
	}
}

// TestLarge checks what is told of a container that is too large.
func TestLarge(t *testing.T) {
	c := full()
	c.Labels["org.example.value"] = strings.Repeat("x", MaxLabel+1)
	c.Labels["org.example.fits"] = strings.Repeat("x", MaxLabel)
	got := through(t, &Container{Facts: c})
	if got.Facts == nil || got.Facts.Labels["org.example.fits"] != c.Labels["org.example.fits"] || !reflect.DeepEqual(got.Facts.Untold, []string{"org.example.value"}) {
		t.Errorf("a label of more than %d octets: %+v", MaxLabel, got)
	}
	for i := range 20 {
		c.Labels["org.example."+strings.Repeat("k", i+1)] = strings.Repeat("x", MaxLabel)
	}
	got = through(t, &Container{Facts: c})
	if got.Facts != nil || got.ID != c.ID || got.Name != c.Name || !strings.Contains(got.Unread, "65536") {
		t.Errorf("a container of more than %d octets: %+v", MaxContainer, got)
	}
	h := fullHost()
	for range maxList {
		h.Facts.Networks = append(h.Facts.Networks, h.Facts.Networks[0])
	}
	if _, err := EncodeHost(h); err == nil {
		t.Error("a host of any size is told")
	}
}

// through returns the container as another host reads it.
func through(t *testing.T, c *Container) *Container {
	t.Helper()
	document, err := EncodeContainer(c, told)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeContainer(document)
	if err != nil {
		t.Fatalf("%v\n%.1000s", err, document)
	}
	return got
}

func TestStates(t *testing.T) {
	c := full()
	c.Untold = nil
	if got := through(t, &Container{Facts: c, Created: true}); !got.Created || !got.Facts.Equal(c) {
		t.Errorf("created: %+v", got)
	}
	want := Container{ID: "abc", Name: "web", Unread: "forbidden"}
	if got := through(t, &want); *got != want {
		t.Errorf("unread: %+v, want %+v", *got, want)
	}
}

func TestRefused(t *testing.T) {
	change := func(document any, field string, value any) []byte {
		b, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(b, &fields); err != nil {
			t.Fatal(err)
		}
		fields[field] = value
		b, _ = json.Marshal(fields)
		return b
	}
	var cj containerJSON
	cj.Version = Version
	cj.facts(full(), told)
	host, _ := EncodeHost(fullHost())
	for _, test := range []struct {
		field string
		value any
		want  string
	}{
		{"version", 2, "unknown version 2"}, {"version", 0, "unknown version 0"}, {"version", "x", "no document"},
		{"id", "../x", "ID"}, {"id", "", "ID"}, {"name", "", "no name"}, {"name", strings.Repeat("x", maxText+1), "octets"},
		{"state", "dead", "not known"}, {"health", "fine", "not known"}, {"stop_timeout", 1e300, "stop timeout"},
		{"labels", map[string]string{"a": strings.Repeat("x", MaxLabel+1)}, "octets"},
		{"labels", map[string]string{"a": strings.Repeat("x", MaxContainer)}, "octets"},
		{"endpoints", []any{map[string]any{"network": ""}}, "no network"},
		{"endpoints", []any{map[string]any{"network": "n", "addresses": []string{"127.0.0.1"}}}, "no address"},
		{"endpoints", []any{map[string]any{"network": "n", "addresses": []string{"fe80::1"}}}, "no address"},
		{"endpoints", []any{map[string]any{"network": "n", "addresses": []string{"10.0.0.1", "10.0.0.2"}}}, "not the only one"},
		{"endpoints", []any{map[string]any{"network": "n", "gateways": []string{""}}}, "gateway"},
		{"ports", []any{map[string]any{"number": 80, "protocol": "icmp"}}, "protocol"},
		{"ports", []any{map[string]any{"number": 80, "protocol": "tcp", "published": []string{""}}}, "published nowhere"},
		{"ports", []any{map[string]any{"number": 70000, "protocol": "tcp"}}, "70000"},
	} {
		if _, err := DecodeContainer(change(cj, test.field, test.value)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("container with %s %.50v: %v, want %q", test.field, test.value, err, test.want)
		}
	}
	for _, test := range []struct {
		field string
		value any
		want  string
	}{
		{"version", 2, "unknown version 2"}, {"engine", "", "engine"}, {"engine", strings.Repeat("x", maxText+1), "octets"},
		{"addresses", []string{"127.0.0.1"}, "no address"}, {"addresses", []string{"fe80::1%eth0"}, "no address"},
		{"networks", []any{map[string]any{"name": ""}}, "no name"}, {"networks", []any{map[string]any{"name": "n", "spans": true}}, "no ID"},
		{"networks", []any{map[string]any{"name": "n", "reach4": []string{"everybody"}}}, "not known"},
		{"networks", []any{map[string]any{"name": "n", "subnets": []string{""}}}, "subnet"},
		{"networks", []any{map[string]any{"name": "n", "gateways": []string{""}}}, "gateway"},
	} {
		if _, err := DecodeHost(change(json.RawMessage(host), test.field, test.value)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("host with %s %.50v: %v, want %q", test.field, test.value, err, test.want)
		}
	}
	if _, err := DecodeHost([]byte(`{"version": 7}`)); !errors.Is(err, ErrVersion) {
		t.Errorf("another version: %v", err)
	}
}

// TestWithin checks that a container has no address that its host's networks don't have.
func TestWithin(t *testing.T) {
	h, c := fullHost(), &Container{Facts: full()}
	if err := c.Within(h); err != nil {
		t.Error(err)
	}
	c.Facts.Endpoints[1].Addrs = addrs("192.0.2.7")
	if err := c.Within(h); err == nil || !strings.Contains(err.Error(), "192.0.2.7 is outside of its network shop_default") {
		t.Errorf("another host's address: %v", err)
	}
}

// FuzzDecode checks that what is read can be written, and is read from that as the same.
func FuzzDecode(f *testing.F) {
	for _, file := range []string{"host.json", "container.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"version":1,"id":"a","name":"b","state":"unread"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if h, err := DecodeHost(document); err == nil {
			b, err := EncodeHost(h)
			if err != nil {
				return // spelled at greater length
			}
			if again, err := DecodeHost(b); err != nil || !reflect.DeepEqual(again, h) {
				t.Errorf("%v: %+v, want %+v", err, again, h)
			}
		}
		if c, err := DecodeContainer(document); err == nil {
			again := through(t, c)
			switch {
			case c.Facts == nil:
				if *again != *c {
					t.Errorf("%+v, want %+v", again, c)
				}
			case again.Facts != nil && again.Facts.ID != c.ID:
				t.Errorf("%+v, want %+v", again.Facts, c.Facts)
			}
		}
	})
}
