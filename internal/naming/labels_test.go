package naming

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
)

// label is a set of labels with the default prefix.
func label(pairs ...string) map[string]string {
	labels := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		labels[DefaultLabelPrefix+"."+pairs[i]] = pairs[i+1]
	}
	return labels
}

func reasons(skipped []Skipped) string {
	var out []string
	for _, s := range skipped {
		out = append(out, s.String())
	}
	return strings.Join(out, "\n")
}

func TestHostLabel(t *testing.T) {
	for _, c := range []struct {
		zones   []string
		host    string
		want    string
		skipped string
	}{
		{[]string{"docker."}, "www, Api ,*.web,", "www.docker. shared\napi.docker. shared\n*.web.docker. shared", ""},
		{[]string{"docker."}, "a.docker, b.docker., c.d.docker", "a.docker. shared\nb.docker. shared\nc.d.docker. shared", ""},
		{[]string{"docker."}, "docker", "docker.docker. shared", ""},
		{[]string{"docker."}, "my_web,*.my_web", "my_web.docker. shared\n*.my_web.docker. shared\nmy-web.docker. shared\n*.my-web.docker. shared", ""},
		{[]string{"docker."}, "*, *.docker.", "", "label name \"*\": a wildcard of the whole zone would answer for what is other containers'\nlabel name \"*.docker.\": a wildcard of the whole zone would answer for what is other containers'"},
		{[]string{"."}, "*.lan, lan, *, x.org., x.org, lan.,localhost", "lan. shared", `label name "*.lan": zone . is shared with the Internet; there are no wildcards in it
label name "*": a wildcard of the whole zone would answer for what is other containers'
label name "x.org.": zone . is shared with the Internet; a container's names have one label in it
label name "x.org": zone . is shared with the Internet; a container's names have one label in it
label name "localhost": localhost is everybody's own`},
		{[]string{".", "docker."}, "x.org, *.web, y.org.", "x.org.docker. shared\n*.web.docker. shared", `label name "y.org.": zone . is shared with the Internet; a container's names have one label in it`},
		{[]string{"docker.", "sub.docker."}, "a.sub.docker,b.docker,*.c.sub.docker.", "a.sub.docker. shared\nb.docker. shared\n*.c.sub.docker. shared", ""},
		{[]string{"docker.", "lan."}, "www,a.lan,*.b.docker.", "www.docker. shared\nwww.lan. shared\na.lan. shared\n*.b.docker. shared", ""},
		{[]string{".", "docker."}, "www,a.docker", "www. shared\nwww.docker. shared\na.docker. shared", ""},
		{[]string{"docker."}, "docker., www.example.org., ns.dns, x.*, **.x, a..b, ä, *., a b, \xff", "",
			`label name "docker.": it is the apex of the zone docker., which is the server's own
label name "www.example.org.": it lies in none of the zones docker.; for it, add example.org. to these
label name "ns.dns": ns.dns.docker. is the name server's own
label name "x.*": character '*'; letters, digits, hyphens and underscores are possible
label name "**.x": character '*'; letters, digits, hyphens and underscores are possible
label name "a..b": empty label
label name "ä": character 'ä'; letters, digits, hyphens and underscores are possible
label name "*.": it lies in none of the zones docker.
label name "a b": character ' '; letters, digits, hyphens and underscores are possible
label name "\xff": character '�'; letters, digits, hyphens and underscores are possible`},
		{[]string{"."}, "1.0.0.10.in-addr.arpa", "", `label name "1.0.0.10.in-addr.arpa": names under arpa. stand for addresses`},
		{[]string{"docker."}, strings.Repeat("a", 300) + "," + strings.Repeat("b.", 130) + "c", "",
			`label name "` + strings.Repeat("a", 300) + `": label longer than 63 octets
label name "` + strings.Repeat("b.", 130) + `c": longer than 255 octets in zone docker.`},
	} {
		r := rules(c.zones...)
		r.Sources = []Source{Label}
		e, _, skipped := r.Entry(here, &container.Container{ID: id, Labels: label("host", c.host)}, nil)
		if got := describe(e.Claims); got != c.want {
			t.Errorf("%v %q: claims\n%s\nwant\n%s", c.zones, c.host, got, c.want)
		}
		if got := reasons(skipped); got != c.skipped {
			t.Errorf("%v %q: skipped\n%s\nwant\n%s", c.zones, c.host, got, c.skipped)
		}
	}
}

func TestHostLabelIsBounded(t *testing.T) {
	e, _, skipped := only(Label).Entry(here, &container.Container{ID: id, Labels: label("host", strings.Repeat("a,b,", 100)+strings.Repeat("c", 40))}, nil)
	if got := describe(e.Claims); got != "a.docker. shared\nb.docker. shared" || len(skipped) != 1 || skipped[0].Reason != "more than 32 names" {
		t.Errorf("claims %s, skipped %v", got, skipped)
	}
}

func TestSettingLabels(t *testing.T) {
	for _, c := range []struct {
		labels  map[string]string
		want    string // TTL, own or not, and addresses
		skipped string
	}{
		{nil, "5 false 10.0.0.2 10.1.0.2", ""},
		{label("ttl", "0"), "0 true 10.0.0.2 10.1.0.2", ""},
		{label("ttl", " 3600 "), "3600 true 10.0.0.2 10.1.0.2", ""},
		{label("ttl", "3601"), "5 false 10.0.0.2 10.1.0.2", `label ttl "3601": want seconds from 0 to 3600`},
		{label("ttl", "5s"), "5 false 10.0.0.2 10.1.0.2", `label ttl "5s": want seconds from 0 to 3600`},
		{label("network", "b"), "5 false 10.1.0.2", ""},
		{label("network", "c"), "5 false 10.0.0.2 10.1.0.2", `label network "c": the container is not on it, but on a, b`},
		{label("network", "short"), "5 false 10.1.0.2", ""},
		{label("network", "theirs"), "5 false 10.0.0.2 10.1.0.2", `label network "theirs": the container is not on it, but on a, b`},
		{label("enable", "true"), "5 false 10.0.0.2 10.1.0.2", ""},
		{label("enable", " Yes"), "5 false 10.0.0.2 10.1.0.2", ""},
		{label("enable", "on"), "5 false 10.0.0.2 10.1.0.2", ""},
		{label("enable", "maybe"), "5 false 10.0.0.2 10.1.0.2", `label enable "maybe": want true or false`},
		{label("enable", ""), "5 false 10.0.0.2 10.1.0.2", `label enable "": want true or false`},
		{label("enable", "no"), "left out", ""},
		{label("enable", "OFF"), "left out", ""},
		{label("enable", "0"), "left out", ""},
		{label("enable", "false", "ttl", "x"), "left out", `label ttl "x": want seconds from 0 to 3600`},
		{label("health", "Require"), "5 false 10.0.0.2 10.1.0.2", `label health "Require": want prefer, require or ignore`},
		{label("hosts", "x"), "5 false 10.0.0.2 10.1.0.2", `label key "hosts": no such label; there are address, cname, enable, health, host, network, records, ttl, wildcard`},
		{map[string]string{DefaultLabelPrefix: "x", DefaultLabelPrefix + "x.ttl": "1", "ttl": "2"}, "5 false 10.0.0.2 10.1.0.2", ""},
	} {
		on := composed(map[string]container.ComposeNetwork{"a": {Project: "other", Short: "theirs"}, "b": {Project: "shop", Short: "short"}})
		r := rules("docker.")
		r.TTL = 5
		ct := container.Container{ID: id, Name: "web", Labels: c.labels, Endpoints: []container.Endpoint{
			{Network: "a", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}},
			{Network: "b", Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.2")}},
		}}
		if ct.Labels != nil {
			ct.Labels[composeProject] = "shop"
		}
		e, _, skipped := r.Entry(on, &ct, &ct)
		got := "left out"
		if e != nil {
			got = fmt.Sprint(e.TTL, " ", e.OwnTTL)
			for _, a := range e.Addresses {
				got += " " + a.IP.String()
			}
		}
		if got != c.want || reasons(skipped) != c.skipped {
			t.Errorf("%v: %s, skipped %s; want %s, skipped %s", c.labels, got, reasons(skipped), c.want, c.skipped)
		}
	}
}

// TestNetworkLabelOverrides checks that the label comes before the Corefile's networks.
func TestNetworkLabelOverrides(t *testing.T) {
	r := rules("docker.")
	r.Networks = []string{"a"}
	c := container.Container{ID: id, Labels: label("network", "b"), Endpoints: []container.Endpoint{
		{Network: "a", Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}, {Network: "b", Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.2")}},
	}}
	if e, _, _ := r.Entry(here, &c, &c); len(e.Addresses) != 1 || e.Addresses[0].Network != here.ID("b") {
		t.Errorf("addresses %v", e.Addresses)
	}
}

func TestOptIn(t *testing.T) {
	r := rules("docker.")
	r.OptIn, r.LabelPrefix = true, "org.example"
	for value, want := range map[string]LeftOut{
		"": NotOptedIn, "true": LetIn, "1": LetIn, "yes": LetIn, "on": LetIn, "false": Disabled, "maybe": NotOptedIn,
	} {
		c := container.Container{ID: id, Name: "web", Labels: map[string]string{"org.example.enable": value}}
		if e, left, skipped := r.Entry(here, &c, &c); (e != nil) != (want == LetIn) || left != want {
			t.Errorf("%q: in is %v, reason %d, want %d; skipped %v", value, e != nil, left, want, skipped)
		}
	}
	e, left, skipped := r.Entry(here, &container.Container{ID: id, Name: "web", Labels: label("enable", "true")}, nil)
	if e != nil || left != NotOptedIn || skipped != nil {
		t.Errorf("with another prefix's label: %v, reason %d, skipped %v", e, left, skipped)
	}
	_, left, skipped = r.Entry(here, &container.Container{ID: id, Name: "web", Untold: []string{"org.example.enable", "org.other"}}, nil)
	if want := `label key "enable": its host does not tell the label "org.example.enable": add its prefix there to 'labels' of 'share', unless its value has more than 4 KiB`; left != NotOptedIn || reasons(skipped) != want {
		t.Errorf("with a label that its host does not tell: reason %d, skipped %s, want %s", left, reasons(skipped), want)
	}
}

// TestNoName checks that a container whose sources give it no name is said to have none.
func TestNoName(t *testing.T) {
	for name, want := range map[string]LeftOut{"web": LetIn, "-web-.x..y": NoName} {
		e, left, _ := only(Container).Entry(here, &container.Container{ID: id, Name: name}, nil)
		if e == nil || left != want || (len(e.Claims) == 0) != (want == NoName) {
			t.Errorf("%q: entry %v, reason %d, want %d", name, e, left, want)
		}
	}
}

// TestLabelSourceOff checks that without the source labels give no names, but still settings.
func TestLabelSourceOff(t *testing.T) {
	c := container.Container{ID: id, Name: "web", Labels: label("host", "x", "records", "@ TXT x", "ttl", "9")}
	e, _, _ := only(Container).Entry(here, &c, &c)
	if got := describe(e.Claims); got != "web.docker. name" || e.TTL != 9 {
		t.Errorf("claims %s, TTL %d", got, e.TTL)
	}
}

// TestHostileLabels checks that whatever a container's labels hold costs little, and is told in few words.
func TestHostileLabels(t *testing.T) {
	many := map[string]string{}
	for i := range 100000 {
		many[fmt.Sprintf("%s.x%d", DefaultLabelPrefix, i)] = strings.Repeat("y", 100)
	}
	for name, labels := range map[string]map[string]string{
		"1 MB of records":   label("records", strings.Repeat("@ TXT x\n", 1<<17)),
		"1 MB of names":     label("host", strings.Repeat("a,", 1<<19)),
		"records":           label("records", strings.Repeat("x TXT y\n", 2000)),
		"names grow":        label("records", "$ORIGIN "+strings.Repeat(strings.Repeat("o", 60)+".", 3)+"web.docker.\n"+strings.Repeat("h HIP 2 200100107B1A74DF365639CC39F1D578 AwEA"+strings.Repeat(" r", 100)+"\n", 60)),
		"generate":          label("records", "$GENERATE 1-999999999 a$ A 10.0.0.1"),
		"hidden generate":   label("records", "($GEN\rER(\nATE 1-65535 a$ A 10.0.0.1))"),
		"include":           label("records", "$include /etc/passwd"),
		"deep nesting":      label("records", "@ TXT "+strings.Repeat("(", 8000)+"x"+strings.Repeat(")", 8001)),
		"open quote":        label("records", `@ TXT "`+strings.Repeat("x", 16000)),
		"NUL":               label("records", strings.Repeat("\x00", 16000), "host", strings.Repeat("\x00,", 8000)),
		"broken UTF-8":      label("records", strings.Repeat("\xff\xfe\n", 5000), "host", "\xff\xfe", "network", "\xff", "ttl", "\xff", "\xff", "\xff"),
		"100,000 labels":    many,
		"a name of 300":     label("records", strings.Repeat("a", 300)+" A 10.0.0.1"),
		"a key of a MB":     label(strings.Repeat("k", 1<<20), strings.Repeat("v", 1<<20)),
		"a TTL of a MB":     label("ttl", strings.Repeat("9", 1<<20)),
		"backslashes":       label("records", strings.Repeat("\\", 16000)),
		"origin in a chain": label("records", strings.Repeat("$ORIGIN a\n", 1600)+"@ A 10.0.0.1"),
	} {
		t.Run(name, func(t *testing.T) {
			c := container.Container{ID: id, Name: "web", Labels: labels}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			e, _, skipped := rules("docker.").Entry(here, &c, &c)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 64<<20 {
				t.Errorf("it allocated %d MiB", allocated>>20)
			} else {
				t.Logf("%s, %d KiB", took, allocated>>10)
			}
			if len(skipped) == 0 || len(skipped) > maxSkipped+1 {
				t.Errorf("%d skipped, want 1 to %d", len(skipped), maxSkipped+1)
			}
			size := 0
			for _, claim := range e.Claims {
				for _, rr := range claim.Records() {
					size += int(rr.Header().Rdlength)
				}
			}
			if size > maxData || len(e.Claims) > maxRecords+maxHosts {
				t.Errorf("%d claims with %d octets of data", len(e.Claims), size)
			}
			for _, s := range skipped {
				if len(s.String()) > 8*maxQuoted {
					t.Errorf("a message of %d octets", len(s.String()))
				}
			}
			if e.Claims[0].Name != "web.docker." {
				t.Errorf("the container's own name is gone: %v", e.Claims[0])
			}
		})
	}
}
