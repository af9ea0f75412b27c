package enginetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// The tests in this file play testdata/record.sh's scenario on the fake and compare its answers with the recorded ones.

var flavours = []Flavour{Docker2010, Docker28, Podman}

func recorded(t *testing.T, f Flavour, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", f.String(), file))
	check(t, err)
	return b
}

type object = map[string]any

func decode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %.200s", err, b)
	}
	return v
}

// pick keeps the fields that are named, "A.B" for B in A, "A.*.B" for B in all that A holds, with their presence.
func pick(o object, paths ...string) object {
	out := object{}
	deeper := map[string][]string{}
	for _, p := range paths {
		head, rest, more := strings.Cut(p, ".")
		keys := []string{head}
		if head == "*" {
			keys = keys[:0]
			for k := range o {
				keys = append(keys, k)
			}
		}
		for _, k := range keys {
			if !more {
				if v, ok := o[k]; ok {
					out[k] = v
				}
				continue
			}
			deeper[k] = append(deeper[k], rest)
		}
	}
	for k, rest := range deeper {
		switch v := o[k].(type) {
		case object:
			out[k] = pick(v, rest...)
		case nil:
			if _, ok := o[k]; ok {
				out[k] = nil
			}
		}
	}
	return out
}

const networkFields = "NetworkSettings.Networks.*."

var inspectFields = []string{
	"Id", "Name", "Created", "Image", "State.Status", "State.Running", "State.Paused", "State.Health.Status", "State.StartedAt",
	"Config.Hostname", "Config.Domainname", "Config.Image", "Config.Labels", "Config.StopSignal", "Config.ExposedPorts",
	"HostConfig.NetworkMode", "NetworkSettings.Ports",
	networkFields + "Aliases", networkFields + "NetworkID", networkFields + "EndpointID", networkFields + "IPAddress", networkFields + "IPPrefixLen",
	networkFields + "GlobalIPv6Address", networkFields + "GlobalIPv6PrefixLen", networkFields + "Gateway", networkFields + "IPv6Gateway", networkFields + "DNSNames",
}

var listFields = []string{
	"Id", "Names", "Image", "Labels", "State", "Status", "Created", "Ports", "HostConfig.NetworkMode",
	networkFields + "Aliases", networkFields + "NetworkID", networkFields + "EndpointID", networkFields + "IPAddress",
	networkFields + "GlobalIPv6Address", networkFields + "Gateway", networkFields + "DNSNames",
}

var networkAnswerFields = []string{
	"Name", "Id", "Driver", "Scope", "EnableIPv4", "EnableIPv6", "IPAM", "Internal", "Labels", "Options",
	"Containers.*.Name", "Containers.*.EndpointID", "Containers.*.IPv4Address", "Containers.*.IPv6Address",
}

// What differs from run to run is replaced by what it is.
var volatile = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`"(sha256:)?[0-9a-f]{64}"`), `"${1}ID"`},
	{regexp.MustCompile(`container:[0-9a-f]{64}`), `container:ID`},
	{regexp.MustCompile(`"[0-9a-f]{12}"`), `"SHORT"`},
	{regexp.MustCompile(`"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`), `"TIME"`},
	{regexp.MustCompile(`"Created":\d{10}\b`), `"Created":"UNIX"`},
	{regexp.MustCompile(`"172\.17\.0\.[2-9]\d*"|"10\.88\.0\.[2-9]\d*"`), `"BRIDGE-IP"`}, // others may be on it
	{regexp.MustCompile(`(Up|Exited \(0\)) (Less than a second|\d+ seconds?)`), `$1 A-WHILE`},
	{regexp.MustCompile(`"execDuration":"\d+"`), `"execDuration":"N"`},
}

func plain(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	check(t, err)
	for _, r := range volatile {
		b = r.what.ReplaceAll(b, []byte(r.name))
	}
	return string(b)
}

func get(t *testing.T, e *Engine, path string) []byte {
	t.Helper()
	_, c := dial(t, e)
	r, err := c.HTTPClient().Get("http://d" + path)
	check(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	check(t, err)
	return b
}

func compare(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := plain(t, got), plain(t, want); g != w {
		t.Errorf("%s\n got %s\nwant %s", what, g, w)
	}
}

// scene is what record.sh has running when it records.
func scene(t *testing.T, f Flavour) *Engine {
	e := New(t, WithFlavour(f))
	e.AddNetwork("rec-net", "10.199.1.0/24")
	e.AddNetwork("rec-other", "10.199.2.0/24")
	e.AddNetwork("rec-six", "10.199.3.0/24", "fd00:199:3::/64")
	on := func(s Spec) Spec {
		if s.Image = "rec-idle:1"; f == Podman {
			s.Image = "docker.io/library/rec-idle:1"
		}
		return s
	}
	e.Run(on(Spec{Name: "rec-bridge", NetworkMode: "bridge", ExposedPorts: []string{"80/tcp", "53/udp"}, Publish: []string{"127.0.0.1:18199:80/tcp"}}))
	e.Run(on(Spec{Name: "rec-user", Hostname: "web", Domainname: "example.org", StopSignal: "SIGHUP", Networks: []Attachment{{Network: "rec-net", Aliases: []string{"front", "shop"}}}}))
	e.Connect("rec-user", Attachment{Network: "rec-other", Aliases: []string{"back"}})
	e.Run(on(Spec{Name: "rec-six", NetworkMode: "rec-six"}))
	e.Run(on(Spec{Name: "rec-host", NetworkMode: "host"}))
	e.Run(on(Spec{Name: "rec-joined", NetworkMode: "container:rec-user"}))
	e.Run(on(Spec{Name: "rec-none", NetworkMode: "none"}))
	health := decode[struct {
		State struct{ Health struct{ Status string } }
	}](t, recorded(t, f, "inspect-health.json")).State.Health.Status
	e.Run(on(Spec{Name: "rec-health", NetworkMode: "rec-net", Health: health}))
	e.Run(on(Spec{Name: "rec-compose", Labels: map[string]string{
		"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "com.docker.compose.container-number": "1", "com.docker.compose.oneoff": "False",
	}, Networks: []Attachment{{Network: "rec-net", Aliases: []string{"rec-compose", "web"}}}}))
	e.Run(on(Spec{Name: "rec-paused", NetworkMode: "rec-net"}))
	e.Pause("rec-paused")
	e.Run(on(Spec{Name: "rec-exited", NetworkMode: "rec-net"}))
	e.Stop("rec-exited")
	e.Create(on(Spec{Name: "rec-created", NetworkMode: "rec-net"}))
	return e
}

func TestAnswersAsRecorded(t *testing.T) {
	for _, f := range flavours {
		t.Run(f.String(), func(t *testing.T) {
			e := scene(t, f)
			for _, name := range []string{"bridge", "user", "six", "host", "joined", "none", "health", "compose", "paused", "exited", "created"} {
				got := decode[object](t, get(t, e, "/containers/rec-"+name+"/json"))
				want := decode[object](t, recorded(t, f, "inspect-"+name+".json"))
				compare(t, "inspect "+name, pick(got, inspectFields...), pick(want, inspectFields...))
			}
			rows := func(list []object) map[string]object { // Podman lists in another order
				named := map[string]object{}
				for _, row := range list {
					named[fmt.Sprint(row["Names"])] = pick(row, listFields...)
				}
				return named
			}
			got, want := rows(decode[[]object](t, get(t, e, "/containers/json?all=1"))), rows(decode[[]object](t, recorded(t, f, "list.json")))
			if len(got) != len(want) {
				t.Errorf("%d rows, %d recorded", len(got), len(want))
			}
			for name, row := range want {
				compare(t, "row "+name, got[name], row)
			}
			for file, path := range map[string]string{"network-user.json": "/networks/rec-net", "network-six.json": "/networks/rec-six"} {
				got, want := decode[object](t, get(t, e, path)), decode[object](t, recorded(t, f, file))
				compare(t, path, members(pick(got, networkAnswerFields...)), members(pick(want, networkAnswerFields...)))
			}
			got, want = networkRows(t, get(t, e, "/networks")), networkRows(t, recorded(t, f, "networks.json"))
			compare(t, "networks", got, want)
			compare(t, "missing", pick(decode[object](t, get(t, e, "/containers/rec-missing/json")), "message"), pick(decode[object](t, recorded(t, f, "missing.json")), "message"))
			info := []string{"SecurityOptions", "SystemTime", "OSType", "Name", "Swarm"}
			compareKinds(t, "info", pick(decode[object](t, get(t, e, "/info")), info...), pick(decode[object](t, recorded(t, f, "info.json")), info...))
			compare(t, "version", pick(decode[object](t, get(t, e, "/version")), "ApiVersion", "MinAPIVersion", "Os"), pick(decode[object](t, recorded(t, f, "version.json")), "ApiVersion", "MinAPIVersion", "Os"))
			comparePing(t, e, recorded(t, f, "ping.txt"))
		})
	}
}

// members keys a network's containers by name, so that their order does not depend on ids.
func members(network object) object {
	named := object{}
	for _, m := range network["Containers"].(object) {
		named[m.(object)["Name"].(string)] = m
	}
	network["Containers"] = named
	return network
}

// networkRows leaves out the default bridge's options and containers, which are the machine's.
func networkRows(t *testing.T, list []byte) map[string]object {
	rows := map[string]object{}
	for _, n := range decode[[]object](t, list) {
		row := members(pick(n, networkAnswerFields...))
		if delete(row, "Options"); n["Name"] == "bridge" {
			delete(row, "Containers")
		}
		rows[n["Name"].(string)] = row
	}
	return rows
}

func compareKinds(t *testing.T, what string, got, want object) {
	t.Helper()
	for k, v := range want {
		if reflect.TypeOf(got[k]) != reflect.TypeOf(v) {
			t.Errorf("%s: %s is %T, recorded %T", what, k, got[k], v)
		}
	}
}

func comparePing(t *testing.T, e *Engine, want []byte) {
	t.Helper()
	_, c := dial(t, e)
	got, err := c.HTTPClient().Head("http://d/_ping")
	check(t, err)
	check(t, got.Body.Close())
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(want)), nil)
	check(t, err)
	for _, h := range []string{"Api-Version", "Docker-Experimental", "Ostype", "Builder-Version", "Libpod-Api-Version"} {
		if got.Header.Get(h) != r.Header.Get(h) {
			t.Errorf("ping: %s is %q, recorded %q", h, got.Header.Get(h), r.Header.Get(h))
		}
	}
	if server, _, _ := strings.Cut(r.Header.Get("Server"), "+"); !strings.HasPrefix(got.Header.Get("Server"), server) {
		t.Errorf("ping: Server is %q", got.Header.Get("Server"))
	}
}
