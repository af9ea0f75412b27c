package naming

import (
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// filtersOf are those of the texts, separated by blanks.
func filtersOf(t *testing.T, texts string) *Filters {
	t.Helper()
	f := &Filters{}
	for text := range strings.FieldsSeq(texts) {
		if err := f.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestFilters(t *testing.T) {
	web := container.Container{
		ID: id, Name: "shop-web-1", Labels: map[string]string{composeProject: "shop", composeService: "web", "env": "prod", "empty": "", "a=b": "c"}, Untold: []string{"secret"},
		NetworkMode: "shop_front", Endpoints: []container.Endpoint{{Network: "shop_back"}, {Network: "shop_front"}},
	}
	host := container.Container{ID: id, Name: "node", NetworkMode: "host", Endpoints: []container.Endpoint{{Network: "host"}}}
	joined := container.Container{ID: id, Name: "sidecar", NetworkMode: "container:x"}
	starting := container.Container{ID: id, Labels: map[string]string{"env": "prod"}}
	for _, c := range []struct {
		filters   string
		container *container.Container
		want      string // what keeps it out
	}{
		{"label=env", &web, ""}, {"label=env=prod", &web, ""}, {"label=env=test", &web, "label=env=test"}, {"label=none", &web, "label=none"},
		{"label=empty", &web, ""}, {"label=empty=", &web, ""}, {"label=env=", &web, "label=env="},
		{"label=env label=empty", &web, ""}, {"label=env label=none", &web, "label=none"}, // all of them, as with docker ps
		{"label=secret", &web, "label=secret, which its host does not tell"}, {"label=secret=x", &web, "label=secret=x, which its host does not tell"},
		{"label!=none", &web, ""}, {"label!=env", &web, "label!=env"}, {"label!=env=test", &web, ""}, {"label!=env=prod", &web, "label!=env=prod"},
		{"label!=none label!=env", &web, "label!=env"}, {"label!=secret", &web, "label!=secret"},
		{"name=web", &web, ""}, {"name=^shop-", &web, ""}, {"name=^/shop-", &web, ""}, {"name=^web$", &web, "name=^web$"}, {"name=db name=web", &web, ""},
		{"name=q name=y name=z name=x", &web, "name=q or name=y or name=z or 1 more"},
		{"network=shop_front", &web, ""}, {"network=front", &web, "network=front"}, {"network=x network=shop_back", &web, ""}, {"network=host", &web, "network=host"},
		{"project=shop", &web, ""}, {"project=sho", &web, "project=sho"}, {"project=a project=shop", &web, ""},
		{"project=shop name=web label=env network=shop_back", &web, ""}, {"project=shop name=db", &web, "name=db"},
		{"network=host", &host, ""}, {"network=bridge", &host, "network=bridge"}, {"project=shop", &host, "project=shop"},
		{"network=bridge", &joined, "network=bridge"},
		{"network=bridge name=web label=env=prod", &starting, ""}, {"label=x", &starting, "label=x"}, // what is not known lets it in
	} {
		if got := filtersOf(t, c.filters).Lack(c.container); got != c.want {
			t.Errorf("%s: %s is kept out by %q, want %q", c.filters, c.container.Name, got, c.want)
		}
	}
	var none *Filters
	if none.Lack(&web) != "" || none.String() != "" {
		t.Error("no filters keep it out")
	}
}

// TestFiltered checks that who is left out has no names, and would have some.
func TestFiltered(t *testing.T) {
	r := rules("docker.")
	r.Filters = filtersOf(t, "name=^web")
	db := container.Container{ID: id, Name: "db", Labels: label("ttl", "never")}
	if e, left, skipped := r.Entry(here, &db, &db); e != nil || left != Filtered || len(skipped) > 0 {
		t.Errorf("%v, %d, skipped %v", e, left, skipped)
	}
	if source := r.Would(here, &db, &db, "db.docker."); source != Container {
		t.Errorf("it would have the name by %q", source)
	}
	if e, left, _ := r.Entry(here, &container.Container{ID: id, Name: "web"}, nil); e == nil || left != LetIn {
		t.Errorf("who is let in: %v, %d", e, left)
	}
}

// TestFilteredServices checks the filters of a Swarm's services, of which the stack is the project.
func TestFilteredServices(t *testing.T) {
	for _, c := range []struct {
		filters string
		left    LeftOut
	}{
		{"name=st_", LetIn}, {"name=^db$", Filtered}, {"project=st", LetIn}, {"project=other", Filtered},
		{"network=st_back", LetIn}, {"network=front", Filtered}, {"label=of=service", LetIn}, {"label=of=container", Filtered}, {"label=own", LetIn}, {"label!=own", Filtered},
	} {
		s := serviceOf(t, "st_db")
		s.Labels, s.ContainerLabels = map[string]string{"of": "service"}, map[string]string{"of": "container", "own": ""}
		r := rules("docker.")
		r.Filters = filtersOf(t, c.filters)
		if _, left, _ := r.Service(s, around()); left != c.left {
			t.Errorf("%s: left out %d, want %d", c.filters, left, c.left)
		}
		if c.left == Filtered && r.WouldService(s, around(), "st_db.docker.") != Swarm {
			t.Errorf("%s: it would not have its name", c.filters)
		}
	}
}
