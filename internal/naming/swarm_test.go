package naming

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/containertest"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// around is what is known around services of containers that no engine has told of.
func around() *Surroundings {
	s := &Surroundings{
		By: "swarm:s", Nodes: map[string]*container.Node{}, Mesh: []zone.MeshNode{{Host: "nas"}},
		Seen:    func(*container.Task) (*container.Networks, *container.Container) { return nil, nil },
		Network: func(string) *container.Network { return nil },
	}
	for _, n := range containertest.Nodes("nas", "") {
		s.Nodes[n.ID] = &n
	}
	return s
}

func serviceOf(t *testing.T, name string) *container.Service {
	t.Helper()
	for _, s := range containertest.Services() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no service %s", name)
	return nil
}

// hosted describes the entry of a service or task: where it is, how it is reached, and its claims.
func hosted(e *zone.Entry) string {
	addrs := []string{}
	for _, a := range e.Addresses {
		addrs = append(addrs, a.IP.String())
	}
	for _, ip := range e.Swarm.Node {
		addrs = append(addrs, "node "+ip.String())
	}
	if e.Swarm.Mesh != nil {
		addrs = append(addrs, "mesh")
	}
	if len(e.Published) > 0 {
		addrs = append(addrs, "published")
	}
	return e.Name + " on " + string(e.Host) + ": " + strings.Join(addrs, " ") + "\n" + describe(e.Claims)
}

// TestService has the entries of services and of their tasks by all that a Swarm says of them.
func TestService(t *testing.T) {
	for _, c := range []struct {
		service string
		change  func(*container.Service)
		rules   *Rules
		want    []string // of the service, and of its tasks
	}{
		{"web", func(s *container.Service) { s.Tasks = s.Tasks[2:] }, rules("docker."), []string{
			`web on swarm:s: 10.0.1.2 mesh
web.docker. service
frontend.docker. shared yvuiyy3p8s3xariru7i3ny20z bare
frontend.ov.docker. project yvuiyy3p8s3xariru7i3ny20z
web.ov.docker. project yvuiyy3p8s3xariru7i3ny20z
1.web.docker. task no part
2.web.docker. task no part
tasks.web.docker. task no part
_http._tcp.web.docker. service
_http._tcp.1.web.docker. task no part
_http._tcp.2.web.docker. task no part
_http._tcp.tasks.web.docker. task no part`,
			`web.3 on node:jv9tkkeccic0by22ws2lt4ubi: 10.0.1.5 node 198.19.8.2
3.web.docker. task
tasks.web.docker. task
web.docker. service host's part
frontend.docker. shared yvuiyy3p8s3xariru7i3ny20z host's part bare
frontend.ov.docker. project yvuiyy3p8s3xariru7i3ny20z host's part
web.ov.docker. project yvuiyy3p8s3xariru7i3ny20z host's part
_http._tcp.3.web.docker. task
_http._tcp.tasks.web.docker. task
_http._tcp.web.docker. service host's part`,
		}},
		{"rr", func(s *container.Service) { s.Tasks = s.Tasks[1:] }, rules("docker."), []string{
			`rr on swarm:s: 
rr.docker. service no part
round.docker. shared yvuiyy3p8s3xariru7i3ny20z no part bare
round.ov.docker. project yvuiyy3p8s3xariru7i3ny20z no part
rr.ov.docker. project yvuiyy3p8s3xariru7i3ny20z no part
1.rr.docker. task no part
tasks.rr.docker. task no part`,
			`rr.2 on nas: 10.0.1.9
2.rr.docker. task
tasks.rr.docker. task
rr.docker. service
round.docker. shared yvuiyy3p8s3xariru7i3ny20z bare
round.ov.docker. project yvuiyy3p8s3xariru7i3ny20z
rr.ov.docker. project yvuiyy3p8s3xariru7i3ny20z`,
		}},
		{"glob", func(s *container.Service) { s.Tasks = nil }, rules("docker."), []string{
			"glob on swarm:s: \nglob.docker. service\nglob.ov2.docker. project o5jypiemnwzjye0t4geldbnei\ntasks.glob.docker. task no part",
		}},
		{"hostmode", func(s *container.Service) { s.Tasks = s.Tasks[:1] }, rules("docker."), []string{
			`hostmode on swarm:s: 10.0.2.7
hostmode.docker. service
hostmode.ov2.docker. project o5jypiemnwzjye0t4geldbnei
tasks.hostmode.docker. task no part
_http._tcp.hostmode.docker. service
_http._tcp.tasks.hostmode.docker. task no part`,
			`hostmode.2wb0fsmg7hfwfcxpdvtt0kf6l on nas: 10.0.2.8 published
2wb0fsmg7hfwfcxpdvtt0kf6l.hostmode.docker. task
tasks.hostmode.docker. task
hostmode.docker. service host's part
hostmode.ov2.docker. project o5jypiemnwzjye0t4geldbnei host's part
_http._tcp.2wb0fsmg7hfwfcxpdvtt0kf6l.hostmode.docker. task
_http._tcp.tasks.hostmode.docker. task
_http._tcp.hostmode.docker. service host's part`,
		}},
		{"st_db", nil, rules("docker."), []string{
			`st_db on swarm:s: 10.0.3.2
st_db.docker. service
db.st.docker. service
database.docker. shared lmpmstqdwn7oyrb52bmy6nfmq bare
database.st_back.docker. project lmpmstqdwn7oyrb52bmy6nfmq
database.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq bare
db.docker. shared lmpmstqdwn7oyrb52bmy6nfmq bare
db.st_back.docker. project lmpmstqdwn7oyrb52bmy6nfmq
db.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq bare
st_db.st_back.docker. project lmpmstqdwn7oyrb52bmy6nfmq
st_db.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq bare
1.st_db.docker. task no part
tasks.st_db.docker. task no part
1.db.st.docker. task no part
tasks.db.st.docker. task no part
svc-label.db.docker. shared
st-db.docker. task
database.st-back.docker. project lmpmstqdwn7oyrb52bmy6nfmq
db.st-back.docker. project lmpmstqdwn7oyrb52bmy6nfmq
st-db.st-back.docker. project lmpmstqdwn7oyrb52bmy6nfmq
st-db.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq bare
1.st-db.docker. task no part
tasks.st-db.docker. task no part`,
			`st_db.2 on nas: 10.0.3.4
2.st_db.docker. task
tasks.st_db.docker. task
2.db.st.docker. task
tasks.db.st.docker. task
st_db.docker. service host's part
db.st.docker. service host's part
database.docker. shared lmpmstqdwn7oyrb52bmy6nfmq host's part bare
database.st_back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part
database.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part bare
db.docker. shared lmpmstqdwn7oyrb52bmy6nfmq host's part bare
db.st_back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part
db.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part bare
st_db.st_back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part
st_db.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part bare
svc-label.db.docker. shared host's part
2.st-db.docker. task
tasks.st-db.docker. task
st-db.docker. task host's part
database.st-back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part
db.st-back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part
st-db.st-back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part
st-db.back.docker. project lmpmstqdwn7oyrb52bmy6nfmq host's part bare
ctr-label.db.docker. shared`,
		}},
		{"st_db", func(s *container.Service) { s.Tasks = nil }, rules("."), []string{
			`st_db on swarm:s: 
st_db. service
db.st. service scoped
database. shared lmpmstqdwn7oyrb52bmy6nfmq bare
database.st_back. project lmpmstqdwn7oyrb52bmy6nfmq scoped
database.back. project lmpmstqdwn7oyrb52bmy6nfmq bare scoped
db. shared lmpmstqdwn7oyrb52bmy6nfmq bare
db.st_back. project lmpmstqdwn7oyrb52bmy6nfmq scoped
db.back. project lmpmstqdwn7oyrb52bmy6nfmq bare scoped
st_db.st_back. project lmpmstqdwn7oyrb52bmy6nfmq scoped
st_db.back. project lmpmstqdwn7oyrb52bmy6nfmq bare scoped
1.st_db. task no part scoped
2.st_db. task no part scoped
tasks.st_db. task no part scoped
st-db. task
database.st-back. project lmpmstqdwn7oyrb52bmy6nfmq scoped
db.st-back. project lmpmstqdwn7oyrb52bmy6nfmq scoped
st-db.st-back. project lmpmstqdwn7oyrb52bmy6nfmq scoped
st-db.back. project lmpmstqdwn7oyrb52bmy6nfmq bare scoped
1.st-db. task no part scoped
2.st-db. task no part scoped
tasks.st-db. task no part scoped`,
		}},
		{"st_db", nil, only(Label), []string{
			"st_db on swarm:s: 10.0.3.2\nsvc-label.db.docker. shared",
			"st_db.2 on nas: 10.0.3.4\nsvc-label.db.docker. shared host's part\nctr-label.db.docker. shared",
		}},
		{"glob", func(s *container.Service) { s.Tasks, s.Labels = nil, label("host", "www") }, only(Label, Swarm), []string{
			"glob on swarm:s: \nwww.docker. shared\nglob.docker. service\nglob.ov2.docker. project o5jypiemnwzjye0t4geldbnei\ntasks.glob.docker. task no part",
		}},
	} {
		s := serviceOf(t, c.service)
		if c.change != nil {
			c.change(s)
		}
		entries, left, _ := c.rules.Service(s, around())
		if left != LetIn || len(entries) != len(c.want) {
			t.Errorf("%s: %d entries, left out %d", c.service, len(entries), left)
			continue
		}
		for i, e := range entries {
			if got := hosted(e); got != c.want[i] {
				t.Errorf("%s has\n%s\nwant\n%s", c.service, got, c.want[i])
			}
		}
	}
}

// TestServiceLabels reads the labels of a service before those of its tasks' containers.
func TestServiceLabels(t *testing.T) {
	label := func(key string) string { return "coredns.dockerdiscovery." + key }
	service := func(own, containers map[string]string) *container.Service {
		s := serviceOf(t, "st_app")
		s.Labels, s.ContainerLabels = own, containers
		return s
	}
	optIn := rules("docker.")
	optIn.OptIn = true
	for _, c := range []struct {
		what string
		r    *Rules
		s    *container.Service
		left LeftOut
		want string // the service's addresses, and what is refused
	}{
		{"no labels", rules("docker."), service(nil, nil), LetIn, "10.0.3.5 10.0.4.2"},
		{"left out", rules("docker."), service(map[string]string{label("enable"): "false"}, nil), Disabled, ""},
		{"left out by its containers", rules("docker."), service(nil, map[string]string{label("enable"): "no"}), Disabled, ""},
		{"not opted in", optIn, service(nil, nil), NotOptedIn, ""},
		{"opted in", optIn, service(map[string]string{label("enable"): "true"}, map[string]string{label("enable"): "false"}), LetIn, "10.0.3.5 10.0.4.2"},
		{"one network", rules("docker."), service(map[string]string{label("network"): "st_front"}, nil), LetIn, "10.0.4.2"},
		{"one network, by its name in the stack", rules("docker."), service(nil, map[string]string{label("network"): "front"}), LetIn, "10.0.4.2"},
		{"a wrong label", rules("docker."), service(map[string]string{label("ttl"): "x"}, nil), LetIn, `10.0.3.5 10.0.4.2 label ttl "x": want seconds from 0 to 3600`},
	} {
		entries, left, refused := c.r.Service(c.s, around())
		var got []string
		if len(entries) > 0 {
			for _, a := range entries[0].Addresses {
				got = append(got, a.IP.String())
			}
		}
		for _, s := range refused {
			got = append(got, s.String())
		}
		if got := strings.Join(got, " "); left != c.left || got != c.want {
			t.Errorf("%s: left out %d, %s; want %d, %s", c.what, left, got, c.left, c.want)
		}
	}
}

// TestServiceRecords has a label of the service's add records to it, and have its TTL.
func TestServiceRecords(t *testing.T) {
	s := serviceOf(t, "web")
	s.Labels = map[string]string{"coredns.dockerdiscovery.records": "@ TXT hello", "coredns.dockerdiscovery.ttl": "2"}
	entries, _, refused := rules("docker.").Service(s, around())
	i := slices.IndexFunc(entries[0].Claims, func(c zone.Claim) bool { return c.Records() != nil })
	if i < 0 || entries[0].Claims[i].Records()[0].String() != "web.docker.\t2\tIN\tTXT\t\"hello\"" || len(refused) > 0 {
		t.Errorf("%v, refused %v", entries[0].Claims, refused)
	}
	for _, e := range entries {
		if e.TTL != 2 || !e.OwnTTL {
			t.Errorf("%s has TTL %d", e.Name, e.TTL)
		}
	}
}

// TestAttached names a container of which a worker's network tells alone.
func TestAttached(t *testing.T) {
	a := &container.Attached{Swarm: "s", Name: "far", Node: netip.MustParseAddr("198.19.8.2"), TaskConnection: container.TaskConnection{
		Network: "n", ID: "e", Addrs: []netip.Addr{netip.MustParseAddr("10.0.1.11")},
	}}
	if got, want := hosted(rules("docker.").Attached(a, around())), "far on node:198.19.8.2: 10.0.1.11 node 198.19.8.2\nfar.docker. name"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e := only(Alias).Attached(a, around()); e != nil {
		t.Errorf("without the source container: %+v", e)
	}
}

// TestNetworksByEngines checks that a network has its name where no task has told it, but an engine has its networks.
func TestNetworksByEngines(t *testing.T) {
	s, known := serviceOf(t, "st_db"), around()
	names := map[string]string{}
	for i := range s.Networks {
		names[s.Networks[i].ID], s.Networks[i].Name = s.Networks[i].Name, ""
	}
	r := only(Swarm)
	if e, _, _ := r.Service(s, known); strings.Contains(describe(e[0].Claims), "st_back") {
		t.Errorf("a network's name that nobody has told:\n%s", describe(e[0].Claims))
	}
	known.Network = func(id string) *container.Network { return &container.Network{ID: id, Name: names[id]} }
	e, _, _ := r.Service(s, known)
	for _, want := range []string{"st_db.st_back.docker. project", "db.st_back.docker. project", "db.back.docker. project", "st_db.back.docker. project"} {
		if !strings.Contains(describe(e[0].Claims), want) {
			t.Errorf("no %s in\n%s", want, describe(e[0].Claims))
		}
	}
	chosen := "back"
	s.Labels = map[string]string{DefaultLabelPrefix + ".network": chosen}
	if e, _, _ = r.Service(s, known); len(e[0].Networks) != 1 {
		t.Errorf("by its label it is on %v", e[0].Networks)
	}
}
