package swarm

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

func recorded(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../enginetest/testdata/swarm", file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rows(t testing.TB, file string) []json.RawMessage {
	t.Helper()
	var all []json.RawMessage
	if err := json.Unmarshal(recorded(t, file), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// task is a task as the recordings of changes have it.
type task struct {
	ID, Svc, Node, State, Desired, CID string
	Slot                               int
	Addrs                              [][2]json.RawMessage
	version                            uint64
}

// recordings has the IDs in full that the changes have cut.
type recordings struct {
	services, nodes []json.RawMessage
	names, full     map[string]string // a service's name, and IDs, by what is left of an ID
	networks        map[string]enginetestNetwork
}

type enginetestNetwork struct{ id, spec string }

func readRecordings(t testing.TB) *recordings {
	t.Helper()
	r := &recordings{services: rows(t, "services.json"), nodes: rows(t, "nodes.json"),
		names: map[string]string{}, full: map[string]string{}, networks: map[string]enginetestNetwork{}}
	for _, row := range slices.Concat(r.services, r.nodes, rows(t, "tasks.json")) {
		var o struct {
			ID                  string
			Spec                struct{ Name string }
			NetworksAttachments []struct {
				Network struct {
					ID   string
					Spec json.RawMessage
				}
			}
		}
		if err := json.Unmarshal(row, &o); err != nil {
			t.Fatal(err)
		}
		r.full[o.ID[:6]], r.names[o.ID[:6]] = o.ID, o.Spec.Name
		for _, a := range o.NetworksAttachments {
			var spec struct{ Name string }
			if err := json.Unmarshal(a.Network.Spec, &spec); err != nil {
				t.Fatal(err)
			}
			r.networks[spec.Name] = enginetestNetwork{a.Network.ID, string(a.Network.Spec)}
		}
	}
	return r
}

// changes returns the recorded changes of tasks.
func (r *recordings) changes(t testing.TB, files ...string) (all []task) {
	t.Helper()
	for _, file := range files {
		lines := bufio.NewScanner(bytes.NewReader(recorded(t, file)))
		for lines.Scan() {
			var c task
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
	}
	return all
}

// row is the task as the API has it.
func (r *recordings) row(t testing.TB, c task) json.RawMessage {
	t.Helper()
	type object = map[string]any
	var attached []object
	for _, a := range c.Addrs {
		var name string
		if err := json.Unmarshal(a[0], &name); err != nil {
			t.Fatal(err)
		}
		n := r.networks[name]
		attached = append(attached, object{"Network": object{"ID": n.id, "Spec": json.RawMessage(n.spec)}, "Addresses": a[1]})
	}
	status := object{"State": c.State, "PortStatus": object{}}
	if c.CID != "" {
		status["ContainerStatus"] = object{"ContainerID": c.CID, "PID": 1, "ExitCode": 0}
	}
	row, err := json.Marshal(object{
		"ID": cmp.Or(r.full[c.ID], c.ID), "Version": object{"Index": c.version}, "ServiceID": r.full[c.Svc], "Slot": c.Slot,
		"NodeID": r.full[c.Node], "Status": status, "DesiredState": c.Desired, "NetworksAttachments": attached,
	})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// text says what counts of a service, in one line.
func text(s *container.Service) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s stack=%s rr=%v", s.Name, s.Stack, s.RoundRobin)
	if s.Replicas > 0 {
		fmt.Fprintf(&b, " x%d", s.Replicas)
	}
	for _, n := range s.Networks {
		fmt.Fprintf(&b, " net[%s %v %v ingress=%v]", n.Name, n.Aliases, n.VIPs, n.Ingress)
	}
	for _, p := range s.Ports {
		fmt.Fprintf(&b, " port[%d/%s %d mesh=%v]", p.Number, p.Proto, p.Published, p.Mesh)
	}
	for _, k := range s.Tasks {
		fmt.Fprintf(&b, " task[%d %.6s %.6s %.12s", k.Slot, k.ID, k.Node, k.Container)
		for _, c := range k.Connections {
			fmt.Fprintf(&b, " %v", c.Addrs)
		}
		for _, p := range k.Ports {
			fmt.Fprintf(&b, " %d/%s:%d", p.Number, p.Proto, p.Published)
		}
		if k.HostNetwork {
			b.WriteString(" host")
		}
		b.WriteString("]")
	}
	return b.String()
}

func decoded(t testing.TB) lists {
	t.Helper()
	var tasks reader[jsonTask]
	var services reader[jsonService]
	var nodes reader[jsonNode]
	l := lists{}
	for file, decode := range map[string]func([]byte) error{
		"tasks.json":    func(b []byte) (err error) { l.tasks, err = tasks.read(b); return err },
		"services.json": func(b []byte) (err error) { l.services, err = services.read(b); return err },
		"nodes.json":    func(b []byte) (err error) { l.nodes, err = nodes.read(b); return err },
	} {
		if err := decode(recorded(t, file)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// TestRecordedFacts reads what a manager has answered.
func TestRecordedFacts(t *testing.T) {
	f := facts{}.read("swarm", decoded(t))
	got := map[string]string{}
	for _, s := range f.services {
		got[s.Name] = text(s)
	}
	for name, want := range map[string]string{
		"onlyport": "onlyport stack= rr=false x1 net[ingress [] [10.0.0.8] ingress=true] port[80/tcp 8090 mesh=true] task[1 wlbz33 jv9tkk 841e6fb50ea6 [10.0.0.9]]",
		"web": "web stack= rr=false x3 net[ingress [] [10.0.0.4] ingress=true] net[h5-ov [frontend] [10.0.1.2] ingress=false] port[80/tcp 8080 mesh=true]" +
			" task[1 s9b9i1 2wb0fs fec0575a8c40 [10.0.0.5] [10.0.1.3]] task[2 eefcq5 2wb0fs 80d9d529db4a [10.0.0.6] [10.0.1.4]] task[3 ppgs7y jv9tkk 7444ad6d0e7f [10.0.0.7] [10.0.1.5]]",
		"rr": "rr stack= rr=true x2 net[h5-ov [] [] ingress=false] task[1 nkxa3y jv9tkk c200a80c8da4 [10.0.1.8]] task[2 jjz3fv 2wb0fs f17fb08be18c [10.0.1.9]]",
		"glob": "glob stack= rr=false net[h5-ov2 [] [10.0.2.2] ingress=false] task[0 k4w5av 2wb0fs ddda29bfca7d [10.0.2.3]]" +
			" task[0 l9twt1 jv9tkk 3632067cfe7a [10.0.2.4]]",
		"hostmode": "hostmode stack= rr=false net[h5-ov2 [] [10.0.2.7] ingress=false] port[80/tcp 8091 mesh=false]" +
			" task[0 zfx260 2wb0fs e5578b17742b [10.0.2.8] 80/tcp:8091] task[0 qermqe jv9tkk b765177cbc92 [10.0.2.9] 80/tcp:8091]",
		"hostnet": "hostnet stack= rr=false task[0 z7xxv5 2wb0fs 67f8695e5f06 host] task[0 4ypleu jv9tkk fab8a47c47b1 host]",
		"h5st_db": "h5st_db stack=h5st rr=false x2 net[h5st_back [database db] [10.0.3.2] ingress=false] task[2 rkip3y 2wb0fs 20c516236370 [10.0.3.4]]",
		"h5st_app": "h5st_app stack=h5st rr=false x1 net[ingress [] [10.0.0.10] ingress=true] net[h5st_back [app] [10.0.3.5] ingress=false] net[h5st_front [app] [10.0.4.2] ingress=false]" +
			" port[80/tcp 8095 mesh=true] task[1 kcbhj2 2wb0fs 054294ba5f12 [10.0.0.11] [10.0.3.6] [10.0.4.3]]",
	} {
		if got[name] != want {
			t.Errorf("%s\n got %s\nwant %s", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("services that there are not: %v", got)
	}
	for _, s := range f.services {
		if s.Name == "h5st_db" && (s.Labels["coredns.dockerdiscovery.host"] != "svc-label.db" || s.ContainerLabels["coredns.dockerdiscovery.host"] != "ctr-label.db") {
			t.Errorf("labels of %s: %v, of its containers: %v", s.Name, s.Labels, s.ContainerLabels)
		}
	}
	if want := []container.Node{
		{Swarm: "swarm", ID: "2wb0fsmg7hfwfcxpdvtt0kf6l", Name: "vm", Addr: netip.MustParseAddr("198.19.8.1"), Ready: true},
		{Swarm: "swarm", ID: "jv9tkkeccic0by22ws2lt4ubi", Name: "vm", Addr: netip.MustParseAddr("198.19.8.2"), Ready: true},
	}; !slices.Equal(f.nodes, want) {
		t.Errorf("nodes %v, want %v", f.nodes, want)
	}
}

// TestRecordedView reads what a worker has answered about a network.
func TestRecordedView(t *testing.T) {
	var n jsonNetwork
	if err := decode(recorded(t, "network-worker.json"), &n); err != nil {
		t.Fatal(err)
	}
	v := viewOf("node", []jsonNetwork{n})
	got := map[string]string{}
	for _, s := range v.services {
		if !s.Partial || s.Swarm != "worker:node" {
			t.Errorf("%s: partial %v of %s", s.Name, s.Partial, s.Swarm)
		}
		got[s.Name] = text(s)
	}
	for name, want := range map[string]string{
		"web": "web stack= rr=false net[h5-ov [] [10.0.1.2] ingress=false] task[1 s9b9i1   [10.0.1.3]] task[2 eefcq5   [10.0.1.4]] task[3 ppgs7y   [10.0.1.5]]",
		"rr":  "rr stack= rr=true net[h5-ov [] [] ingress=false] task[1 nkxa3y   [10.0.1.8]] task[2 jjz3fv   [10.0.1.9]]",
	} {
		if got[name] != want {
			t.Errorf("%s\n got %s\nwant %s", name, got[name], want)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d services, want web and rr: %v", len(got), got)
	}
	var attached []string
	for _, a := range v.attached {
		attached = append(attached, fmt.Sprint(a.Name, " ", a.Addrs, " ", a.Node))
	}
	slices.Sort(attached)
	if want := []string{"h5-att [10.0.1.10] 198.19.8.1", "h5-attw [10.0.1.11] 198.19.8.2"}; !slices.Equal(attached, want) {
		t.Errorf("attached are %q, want %q", attached, want)
	}
}
