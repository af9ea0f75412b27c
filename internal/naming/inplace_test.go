package naming

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// answering writes claims as describe does, each with its records' data.
func answering(claims []zone.Claim) string {
	var out []string
	for i := range claims {
		text := describe(claims[i : i+1])
		for _, rr := range claims[i].Records() {
			text += " " + strings.TrimPrefix(rr.String(), rr.Header().String())
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

// ranges are those of the property addresses.
func ranges(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// TestInPlace checks the labels that put something in place of a container's addresses, or below its names.
func TestInPlace(t *testing.T) {
	const ids = "0123456789ab.docker. id"
	shop := []string{composeProject, "shop", composeService, "web"}
	for _, c := range []struct {
		what    string
		labels  map[string]string
		compose []string
		sources []Source
		zones   []string // docker. if empty
		ranges  string
		want    string
		skipped string
	}{
		{what: "a CNAME", labels: label("cname", "example.org"), sources: []Source{Container, ID, Host, Hostname, Compose, Alias}, compose: shop, want: `web.docker. name example.org.
` + ids + `
web.nas.docker. host example.org.
www.docker. shared bare example.org.
web.shop.docker. project example.org.
api.docker. shared front bare example.org.
api.front.docker. project front example.org.
web.front.docker. project front example.org.`},
		{what: "a CNAME to a name of one label", labels: label("cname", " Proxy "), sources: []Source{Container, ID}, zones: []string{".", "docker."}, want: `web. name proxy.
web.docker. name proxy.docker.
0123456789ab. id
` + ids},
		{what: "a CNAME to an absolute name of one label", labels: label("cname", "proxy."), sources: []Source{Container}, want: "web.docker. name proxy."},
		{what: "a CNAME in a zone", labels: label("cname", "proxy.docker", "ttl", "60"), sources: []Source{Container}, want: "web.docker. name proxy.docker."},
		{what: "a CNAME, its twin and wildcards", labels: label("cname", "example.org", "host", "a_b", "wildcard", "yes"), sources: []Source{ID, Label}, want: ids + `
a_b.docker. shared example.org.
a-b.docker. shared example.org.
*.a_b.docker. shared example.org.
*.a-b.docker. shared example.org.`},
		{what: "a CNAME beside records", labels: label("cname", "example.org", "records", "@ TXT x\nsip A 192.0.2.1\n@ CNAME other.\n0123456789ab.docker. TXT own"), sources: []Source{Container, Label, ID}, want: `web.docker. name example.org.
` + ids + `
sip.web.docker. shared 192.0.2.1
0123456789ab.docker. shared "own"`, skipped: `label records "web.docker.": the name is a CNAME, by the label cname`},
		{what: "a CNAME to itself", labels: label("cname", "web"), sources: []Source{Container}, want: "web.docker. name", skipped: `label cname "web": web.docker. is a name of its own`},
		{what: "a CNAME to another name of its", labels: label("cname", "www.docker."), sources: []Source{Container, Hostname}, want: "web.docker. name\nwww.docker. shared bare", skipped: `label cname "www.docker.": www.docker. is a name of its own`},
		{what: "a CNAME to what is below it", labels: label("cname", "x.web.docker", "wildcard", "true"), sources: []Source{Container}, want: "web.docker. name\n*.web.docker. name", skipped: `label cname "x.web.docker": x.web.docker. is a name of its own`},
		{what: "a CNAME to its ID", labels: label("cname", "0123456789ab"), sources: []Source{Container, ID}, want: "web.docker. name 0123456789ab.docker.\n" + ids},
		{what: "no CNAMEs", labels: label("cname", "."), sources: []Source{Container}, want: "web.docker. name", skipped: `label cname ".": empty label`},
		{what: "a wildcard for a CNAME's target", labels: label("cname", "*.x"), sources: []Source{Container}, want: "web.docker. name", skipped: `label cname "*.x": character '*'; letters, digits, hyphens and underscores are possible`},
		{what: "a long target", labels: label("cname", strings.Repeat("a.", 127)+"a"), sources: []Source{Container}, want: "web.docker. name", skipped: `label cname "` + strings.Repeat("a.", 127) + `a": longer than 255 octets in zone docker.`},
		{what: "an empty target", labels: label("cname", ""), sources: []Source{Container}, want: "web.docker. name"},

		{what: "addresses", labels: label("address", "192.0.2.7, 2001:db8::7,192.0.2.7,::ffff:192.0.2.7", "ttl", "9"), ranges: "192.0.2.0/24 2001:db8::/32", sources: []Source{Container, ID, Alias},
			want: "web.docker. name 192.0.2.7 2001:db8::7\n" + ids + "\napi.docker. shared front bare 192.0.2.7 2001:db8::7\napi.front.docker. project front 192.0.2.7 2001:db8::7\nweb.front.docker. project front 192.0.2.7 2001:db8::7"},
		{what: "addresses beside records", labels: label("address", "192.0.2.7", "records", "@ TXT x\n@ A 198.51.100.1\n@ CNAME x."), ranges: "192.0.2.7/32", sources: []Source{Container, Label},
			want:    "web.docker. name 192.0.2.7\nweb.docker. shared \"x\" 198.51.100.1",
			skipped: `label records "web.docker. CNAME": the name has other records`},
		{what: "addresses without the property", labels: label("address", "192.0.2.7"), sources: []Source{Container}, want: "web.docker. name",
			skipped: `label address "192.0.2.7": the docker block has no property addresses, which says which ones labels may give`},
		{what: "one address of two", labels: label("address", "192.0.2.7,198.51.100.7"), ranges: "192.0.2.0/24", sources: []Source{Container}, want: "web.docker. name 192.0.2.7",
			skipped: `label address "198.51.100.7": the docker block's property addresses does not allow it`},
		{what: "what is no host's address", labels: label("address", "0.0.0.0,::,224.0.0.1,ff02::1,255.255.255.255,127.0.0.1,::1,169.254.1.1,fe80::1"), ranges: "0.0.0.0/0 ::/0 224.0.0.0/4", sources: []Source{Container}, want: "web.docker. name",
			skipped: refusedAddresses("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "127.0.0.1", "::1", "169.254.1.1", "fe80::1")},
		{what: "what is asked for by ranges of just such", labels: label("address", "127.0.0.1,::1,169.254.1.1,fe80::1"), ranges: "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/10", sources: []Source{Container}, want: "web.docker. name 127.0.0.1 ::1 169.254.1.1 fe80::1"},
		{what: "no addresses", labels: label("address", " , x, fe80::1%eth0, 192.0.2, 1.2.3.4/8"), ranges: "0.0.0.0/0 fe80::/10", sources: []Source{Container}, want: "web.docker. name",
			skipped: `label address "x": it is not an IPv4 or IPv6 address
label address "fe80::1%eth0": it is not an IPv4 or IPv6 address
label address "192.0.2": it is not an IPv4 or IPv6 address
label address "1.2.3.4/8": it is not an IPv4 or IPv6 address`},
		{what: "a CNAME and addresses", labels: label("address", "192.0.2.7", "cname", "x.org"), ranges: "0.0.0.0/0", sources: []Source{Container}, want: "web.docker. name x.org.",
			skipped: `label address "192.0.2.7": the container's names are a CNAME, by its label cname`},

		{what: "wildcards", labels: label("wildcard", "true", "host", "*.tenant,a.b"), sources: []Source{Container, ID, Host, Compose, Alias, Label}, compose: shop, want: `web.docker. name
` + ids + `
web.nas.docker. host
web.shop.docker. project
api.docker. shared front bare
api.front.docker. project front
web.front.docker. project front
*.tenant.docker. shared
a.b.docker. shared
*.web.docker. name
*.web.nas.docker. host
*.web.shop.docker. project
*.api.docker. shared front bare
*.api.front.docker. project front
*.web.front.docker. project front
*.a.b.docker. shared`},
		{what: "no wildcards", labels: label("wildcard", "off"), sources: []Source{Container}, want: "web.docker. name"},
		{what: "wildcards, or not", labels: label("wildcard", "*"), sources: []Source{Container}, want: "web.docker. name", skipped: `label wildcard "*": want true or false`},
		{what: "wildcards in zone .", labels: label("wildcard", "1"), zones: []string{"."}, sources: []Source{Container}, want: "web. name", skipped: `label wildcard "true": zone . is shared with the Internet; there are no wildcards in it`},
		{what: "wildcards in a zone besides", labels: label("wildcard", "1"), zones: []string{".", "docker."}, sources: []Source{Container}, want: "web. name\nweb.docker. name\n*.web.docker. name"},
	} {
		r := rules("docker.")
		if len(c.zones) > 0 {
			r = rules(c.zones...)
		}
		r.Sources, r.Addresses = c.sources, ranges(strings.Fields(c.ranges)...)
		for i := 0; i < len(c.compose); i += 2 {
			c.labels[c.compose[i]] = c.compose[i+1]
		}
		ct := container.Container{
			ID: id, Name: "web", Hostname: "www", Labels: c.labels, Ports: nil,
			Endpoints: []container.Endpoint{{Network: "front", Aliases: []string{"api"}, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}},
		}
		e, _, skipped := r.Entry(called("nas"), &ct, &ct)
		if got := answering(e.Claims); got != c.want || reasons(skipped) != c.skipped {
			t.Errorf("%s:\n%s\nskipped\n%s\nwant\n%s\nskipped\n%s", c.what, got, reasons(skipped), c.want, c.skipped)
		}
	}
}

func refusedAddresses(all ...string) string {
	for i, a := range all {
		all[i] = fmt.Sprintf("label address %q: the docker block's property addresses does not allow it", a)
	}
	return strings.Join(all, "\n")
}

// TestInPlaceHasNoPorts checks that where the names lead elsewhere nothing is said of the container's ports.
func TestInPlaceHasNoPorts(t *testing.T) {
	for _, labels := range []map[string]string{label("cname", "x.org"), label("address", "192.0.2.7")} {
		r := only(Container, ID)
		r.Addresses = ranges("192.0.2.0/24")
		e, _, _ := r.Entry(here, &container.Container{ID: id, Name: "web", Labels: labels, Ports: []container.Port{{Number: 80, Proto: "tcp"}}}, nil)
		if len(e.Claims) != 2 {
			t.Errorf("%v: %s", labels, answering(e.Claims))
		}
	}
}

func TestAddressLabelIsBounded(t *testing.T) {
	var all []string
	for i := range 60 {
		all = append(all, fmt.Sprintf("192.0.2.%d", i+1))
	}
	r := only(Container)
	r.Addresses = ranges("192.0.2.0/24")
	e, _, skipped := r.Entry(here, &container.Container{ID: id, Name: "web", Labels: label("address", strings.Join(all, ","))}, nil)
	if n := len(e.Claims[0].Records()); n != 16 || len(skipped) != maxSkipped+1 || skipped[0].Reason != "more than 16 addresses" {
		t.Errorf("%d addresses, skipped %v", n, skipped)
	}
}

// TestInPlaceOfServices checks that a service's labels hold for its tasks at its names, and its containers' labels for their own alone.
func TestInPlaceOfServices(t *testing.T) {
	const cname = DefaultLabelPrefix + "." + labelCNAME
	s := serviceOf(t, "st_db")
	s.Labels = map[string]string{cname: "example.org", DefaultLabelPrefix + "." + labelWildcard: "true"}
	r := only(Swarm, Label)
	entries, _, skipped := r.Service(s, around())
	if len(skipped) > 0 || len(entries) < 2 {
		t.Fatalf("%d entries, skipped %v", len(entries), skipped)
	}
	for _, e := range entries {
		for i := range e.Claims {
			if c := &e.Claims[i]; (len(c.Records()) == 1) == strings.HasSuffix(c.Name, "ctr-label.db.docker.") || c.Service() != nil && len(c.Records()) > 0 {
				t.Errorf("%s: %s", e.Name, answering(e.Claims[i:i+1]))
			}
		}
		if !strings.Contains(describe(e.Claims), "*.db.st.docker. service") {
			t.Errorf("%s has no wildcard:\n%s", e.Name, describe(e.Claims))
		}
	}
	s.Labels, s.ContainerLabels[cname] = nil, "example.org"
	entries, _, _ = r.Service(s, around())
	for _, e := range entries {
		for i := range e.Claims {
			if c := &e.Claims[i]; (len(c.Records()) == 1) != strings.HasSuffix(c.Name, "ctr-label.db.docker.") {
				t.Errorf("%s: %s", e.Name, answering(e.Claims[i:i+1]))
			}
		}
	}
	s.Labels, s.ContainerLabels = map[string]string{cname: "2.st_db.docker"}, nil
	if _, _, skipped = r.Service(s, around()); reasons(skipped) != `label cname "2.st_db.docker": 2.st_db.docker. is a name of its own` {
		t.Errorf("a task's name: %v", skipped)
	}
}

// TestOutside checks what is said of a name that lies in no zone.
func TestOutside(t *testing.T) {
	many := []string{"a.", "b.", "c.", "d.", "e.", "f.", "g."}
	for _, c := range []struct {
		zones      []string
		name, want string
	}{
		{[]string{"docker."}, "www.example.org.", "it lies in none of the zones docker.; for it, add example.org. to these"},
		{[]string{"docker.", "lan."}, "*.app.example.org.", "it lies in none of the zones docker., lan.; for it, add example.org. to these"},
		{[]string{"docker."}, "web.", "it lies in none of the zones docker."},
		{[]string{"docker.", "lan."}, "lan.", "it is the apex of the zone lan., which is the server's own"},
		{many, "x.y.", "it lies in none of the zones a., b., c., d., e. and 2 more; for it, add y. to these"},
	} {
		r := rules(c.zones...)
		r.Sources = []Source{Label}
		_, _, skipped := r.Entry(here, &container.Container{ID: id, Labels: label("host", c.name)}, nil)
		if want := fmt.Sprintf("label name %q: %s", c.name, c.want); reasons(skipped) != want {
			t.Errorf("%s\nwant\n%s", reasons(skipped), want)
		}
	}
}
