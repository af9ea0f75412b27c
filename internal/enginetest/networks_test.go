package enginetest

import (
	"encoding/json"
	"testing"

	networktypes "github.com/docker/docker/api/types/network"
)

// gateways returns who is on docker_gwbridge, by key, with what address.
func gateways(t *testing.T, e *Engine) map[string]string {
	t.Helper()
	at := map[string]string{}
	for key, m := range decode[networktypes.Inspect](t, get(t, e, "/networks/docker_gwbridge")).Containers {
		at[key] = m.IPv4Address
	}
	return at
}

func TestSwarmNetworksAsRecorded(t *testing.T) {
	fields := []string{"Name", "Id", "Driver", "Scope", "IPAM", "Internal", "Ingress", "Containers", "EnableIPv6"}
	e := New(t, WithFlavour(Docker28))
	e.MakeNetwork(NetworkSpec{Name: "ingress", Driver: "overlay", Ingress: true, Subnets: []string{"10.0.0.0/24"}})
	e.MakeNetwork(NetworkSpec{Name: "h5st_back", Driver: "overlay", Internal: true, Subnets: []string{"10.0.3.0/24"}})
	e.MakeNetwork(NetworkSpec{Name: "h5-ov", Driver: "overlay", Subnets: []string{"10.0.1.0/24"}})
	rows := map[any]object{}
	for _, row := range decode[[]object](t, get(t, e, "/networks")) {
		rows[row["Name"]] = row
	}
	for _, want := range decode[[]object](t, recorded(t, Docker28, "networks-swarm.json")) {
		got := rows[want["Name"]]
		if id := got["Id"].(string); len(id) != len(want["Id"].(string)) {
			t.Errorf("%s has the id %s", want["Name"], id)
		}
		got["Id"], want["Id"] = nil, nil
		compare(t, "row", pick(got, fields...), pick(want, fields...))
	}
	compareGateways(t, e)
}

// compareGateways compares docker_gwbridge with a container on it with the recording.
func compareGateways(t *testing.T, e *Engine) {
	t.Helper()
	id := e.Run(Spec{Networks: []Attachment{{Network: "h5-ov"}}})
	got, want := decode[object](t, get(t, e, "/networks/docker_gwbridge")), decode[object](t, recorded(t, Docker2010, "network-gwbridge.json"))
	members := got["Containers"].(object)
	if name := members[id].(object)["Name"].(string); len(name) != len("gateway_c9384d317cdb") {
		t.Errorf("the container is there by the name %s", name)
	}
	for _, o := range []object{got, want} {
		for key, m := range o["Containers"].(object) {
			if len(key) == 64 {
				delete(o["Containers"].(object), key)
				m.(object)["Name"] = "gateway"
				o["Containers"].(object)["ID"] = m
			}
		}
	}
	fields := []string{"Name", "Driver", "Scope", "IPAM", "Internal", "Ingress", "Options", "Containers.*.Name", "Containers.*.IPv4Address", "Containers.*.IPv6Address"}
	compare(t, "docker_gwbridge", pick(got, fields...), pick(want, fields...))
}

func TestGatewayBridge(t *testing.T) {
	for _, f := range []Flavour{Docker2010, Docker28} {
		e := New(t, WithFlavour(f))
		e.MakeNetwork(NetworkSpec{Name: "ov", Driver: "overlay"})
		e.MakeNetwork(NetworkSpec{Name: "back", Driver: "overlay", Internal: true})
		e.MakeNetwork(NetworkSpec{Name: "inside", Internal: true})
		e.AddNetwork("net")
		c := e.Run(Spec{Networks: []Attachment{{Network: "ov"}, {Network: "back"}}})
		e.Connect(c, Attachment{Network: "inside"})
		e.Run(Spec{Networks: []Attachment{{Network: "back"}}})
		e.Run(Spec{Networks: []Attachment{{Network: "net"}, {Network: "ov"}}})
		check := func(when string, want int) {
			t.Helper()
			at := gateways(t, e)
			if len(at) != want+1 || at["ingress-sbox"] == "" || want > 0 && at[c] != e.IP(c, "docker_gwbridge").String()+"/16" {
				t.Errorf("%s, %s: %v", f, when, at)
			}
		}
		check("on overlays", 1)
		e.Connect(c, Attachment{Network: "net"})
		check("on a bridge too", 0)
		e.Disconnect(c, "net")
		check("back", 1)
		e.UnnamedGateways(true)
		if at := gateways(t, e); len(at) != 2 || at[c] != "" {
			t.Errorf("%s, unnamed: %v", f, at)
		}
		e.UnnamedGateways(false)
		e.Stop(c)
		check("stopped", 0)
		e.Start(c)
		check("started", 1)
	}
}

// A subnet without an address of the host's gives the first one to a container, and a port that is published in routed mode
// has none of the host's.
func TestGatewayModes(t *testing.T) {
	e := New(t, WithFlavour(Docker28))
	mode := "com.docker.network.bridge.gateway_mode_ipv4"
	e.MakeNetwork(NetworkSpec{Name: "iso", Internal: true, Options: map[string]string{mode: "isolated"}})
	e.MakeNetwork(NetworkSpec{Name: "routed", Options: map[string]string{mode: "routed"}})
	c := e.Run(Spec{Networks: []Attachment{{Network: "iso"}}})
	if ip := e.IP(c, "iso").String(); ip != "172.18.0.1" {
		t.Errorf("the container has %s", ip)
	}
	if n := decode[networktypes.Inspect](t, get(t, e, "/networks/iso")); n.IPAM.Config[0].Gateway != "" || n.Options[mode] != "isolated" {
		t.Errorf("%+v", n)
	}
	r := e.Run(Spec{Networks: []Attachment{{Network: "routed"}}, Publish: []string{"8080:80"}})
	var got struct {
		NetworkSettings struct{ Ports json.RawMessage }
	}
	check(t, json.Unmarshal(get(t, e, "/containers/"+r+"/json"), &got))
	if want := `{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":""}]}`; string(got.NetworkSettings.Ports) != want {
		t.Errorf("ports %s, recorded %s", got.NetworkSettings.Ports, want)
	}
}

// Podman tells of its networks' options by its own API alone.
func TestPodmanIsolate(t *testing.T) {
	e := New(t, WithFlavour(Podman))
	e.AddNetwork("api")
	e.MakeNetwork(NetworkSpec{Name: "cli", Options: map[string]string{}})
	got := map[any]any{}
	for _, row := range decode[[]object](t, get(t, e, "/v4.0.0/libpod/networks/json")) {
		got[row["name"]] = row["options"]
	}
	compare(t, "options", []any{got["api"], got["cli"], got["podman"]}, []any{object{"isolate": "true"}, object{}, nil})
	if n := decode[networktypes.Inspect](t, get(t, e, "/networks/api")); len(n.Options) != 0 {
		t.Errorf("Docker's API tells of %v", n.Options)
	}
	if b := decode[object](t, get(t, e, "/v1.41/libpod/networks/json")); b["message"] == nil {
		t.Errorf("in a version that has no such call: %v", b)
	}
}
