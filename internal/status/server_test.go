package status_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/naming"
	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// block is a docker block of so many containers. All are called odd, if that is set.
type block struct {
	key        string
	zones      []string
	containers int
	odd        string
	wait       chan struct{} // what is asked for its containers waits for it, if it is set
	broken     atomic.Bool   // what is asked for its containers panics
}

func (b *block) Info() status.Info {
	return status.Info{Key: b.key, Zones: b.zones, Listen: []string{"dns://:53"}, Warnings: []string{"a warning"}}
}

func (b *block) name(n int) string { return fmt.Sprintf("web%04d%s", n, b.odd) }

func (b *block) Explain(q status.Question) (*status.Explanation, error) {
	if q.From == "nobody" {
		return nil, errors.New("nobody is called so")
	}
	return &status.Explanation{Block: b.key, Name: q.Name, Type: q.Type, Answer: &dns.Msg{}}, nil
}

func (b *block) Names(from string) (iter.Seq[status.Name], error) {
	if from == "nobody" {
		return nil, errors.New("nobody is called so")
	}
	return func(yield func(status.Name) bool) {
		for n := range b.containers {
			if !yield(status.Name{Zone: b.zones[0], Name: b.name(n) + "." + b.zones[0], Owners: []string{b.name(n)}, Records: []string{fmt.Sprintf("5\tIN\tA\t10.0.0.%d", n%250)}}) {
				return
			}
		}
	}, nil
}

func (b *block) Containers() iter.Seq[catalog.Explanation] {
	return func(yield func(catalog.Explanation) bool) {
		if b.wait != nil {
			<-b.wait
		}
		if b.broken.Load() {
			panic("broken")
		}
		for n := range b.containers {
			key := zone.Key{Host: "nas", ID: fmt.Sprintf("%064x", n)}
			if !yield(catalog.Explanation{
				Key: key, Name: b.name(n),
				Facts: &container.Container{
					ID: key.ID, Name: b.name(n), Hostname: "secret", Labels: map[string]string{"secret": "secret", "com.docker.compose.project": "shop"},
					Endpoints: []container.Endpoint{{Network: "front", Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(n / 250), byte(n % 250)})}}},
				},
				Entry:   &zone.Entry{Key: key, Claims: []zone.Claim{{Name: b.name(n) + "." + b.zones[0]}}},
				Skipped: []naming.Skipped{{Source: naming.Hostname, Name: "a b" + b.odd, Reason: "a blank"}},
				Events:  []catalog.Event{{At: time.Now(), What: catalog.Runs, Cause: "start"}},
			}) {
				return
			}
		}
	}
}

func (b *block) Hosts() []status.Host {
	return []status.Host{{ID: "nas", Named: true, Endpoint: "unix:///run/docker.sock", State: "away", LastError: "refused" + b.odd, ErrorAt: time.Date(2026, 12, 1, 8, 0, 0, 0, time.Local), Cure: "start Docker", Containers: b.containers}}
}

func (b *block) ZoneRecords(apex string) iter.Seq[dns.RR] {
	if !slices.Contains(b.zones, apex) {
		return nil
	}
	return func(yield func(dns.RR) bool) {
		for n := range b.containers {
			if !yield(&dns.A{Hdr: dns.RR_Header{Name: fmt.Sprintf("web%04d.%s", n, apex), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.IPv4(10, 0, 0, byte(n))}) {
				return
			}
		}
	}
}

func (b *block) Container(key zone.Key) (catalog.Explanation, bool) {
	for e := range b.Containers() {
		if e.Key == key {
			return e, true
		}
	}
	return catalog.Explanation{}, false
}

func (b *block) Changes(uint64) catalog.Changes { return catalog.Changes{} }

// serverOf returns a server of the blocks.
func serverOf(blocks ...*block) *status.Server {
	return status.New(func() (all []status.Block) {
		for _, b := range blocks {
			all = append(all, b)
		}
		return all
	}, func() []string { return []string{"status.lan"} })
}

func docker(containers int) *block {
	return &block{key: ".:53", zones: []string{"docker."}, containers: containers}
}

// get asks for the path, with fields as "Name: value".
func get(s http.Handler, method, path string, fields ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost:9180"
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

// body reads the answer's, which has the status.
func body(t *testing.T, r *http.Response, status int) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != status {
		t.Errorf("status %d, want %d: %s", r.StatusCode, status, b)
	}
	return string(b)
}

// paths are those of all routes.
var paths = []string{"/", "/names", "/containers", "/containers/web0000", "/hosts", "/zones/docker", "/explain/web0000.docker"}

const firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

// TestForms checks which form a request gets, by Accept as RFC 9110 has it.
func TestForms(t *testing.T) {
	s := serverOf(docker(1))
	const text, html, program, none = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json", ""
	for accept, want := range map[string]string{
		"*/*":                                    text, // curl
		"":                                       text,
		firefox:                                  html,
		"application/json":                       program,
		"application/json, text/plain, */*":      text,
		"application/*":                          program,
		"text/*;q=0.5, application/json":         program,
		"text/*, text/plain;q=0.1":               html,
		"text/html;q=0.2, */*;q=0.1":             html,
		"*/*, text/plain;q=0, text/html;q=0.0":   program,
		"Text/HTML; Q=1":                         html,
		"text/html;q=nonsense, application/json": program,
		";;, text/html":                          html,
		"image/png":                              none,
		"text/plain;q=0":                         none,
	} {
		r := get(s, "GET", "/hosts", "Accept: "+accept)
		if accept == "" {
			r = get(s, "GET", "/hosts")
		}
		if want == none {
			if text := body(t, r, http.StatusNotAcceptable); !strings.Contains(text, "text/plain, application/json and text/html") {
				t.Errorf("%s: %s", accept, text)
			}
			continue
		}
		if got := r.Header.Get("Content-Type"); got != want || r.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: %s with %q, want %s", accept, got, r.Header, want)
		}
	}
	for _, path := range paths {
		for format, want := range map[string]string{"text": text, "json": program, "html": html} {
			r := get(s, "GET", path+"?format="+format, "Accept: image/png")
			got := body(t, r, http.StatusOK)
			if r.Header.Get("Content-Type") != want || got == "" {
				t.Errorf("%s as %s: %q", path, format, got)
			}
			if format == "json" && !json.Valid([]byte(got)) {
				t.Errorf("%s is no JSON: %s", path, got)
			}
		}
	}
	body(t, get(s, "GET", "/?format=xml"), http.StatusBadRequest)
}

// TestWhoMayAsk checks which names the server takes for its own, and that other sites' pages can't read anything.
func TestWhoMayAsk(t *testing.T) {
	s := serverOf(docker(1))
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9180": 200, "LOCALHOST.": 200, "127.0.0.1": 200, "127.0.0.1:9180": 200, "192.0.2.1:80": 200,
		"[::1]": 200, "[::1]:9180": 200, "[fe80::1]:9180": 200, "status.lan": 200, "Status.LAN.:9180": 200,
		"": 421, "evil.example": 421, "evil.example:9180": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "notlocalhost": 421,
		"sub.status.lan": 421, "status.lan.evil.example": 421, "127.1": 421, "0x7f.1": 421, "localhost@evil.example": 421, "[::1]evil.example": 421,
	} {
		for _, path := range append(paths, "/nowhere", "/assets/x", "/events?block=none") {
			if got := get(s, "GET", path, "Host: "+host); got.StatusCode != want && (want == 421 || got.StatusCode == 421) {
				t.Errorf("%s as %q: %d, want %d", path, host, got.StatusCode, want)
			}
		}
	}
	if text := body(t, get(s, "GET", "/", "Host: box.lan:9180"), 421); !strings.Contains(text, "'status localhost:9180 box.lan'") {
		t.Errorf("it does not say what to write: %s", text)
	}
	for _, c := range []struct {
		want   int
		fields []string
	}{
		{200, []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}},
		{200, []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}},
		{200, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}}, // a link
		{200, []string{"Origin: http://localhost:9180", "Sec-Fetch-Site: same-origin"}},
		{403, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"}},
		{403, []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}}, // another port of this machine
		{403, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}},
		{403, []string{"Origin: http://evil.example"}},
		{403, []string{"Origin: http://localhost:3000"}},
		{403, []string{"Origin: null"}},
		{403, []string{"Origin: http://evil.example", "Sec-Fetch-Site: same-origin"}},
	} {
		if got := get(s, "GET", "/names", c.fields...); got.StatusCode != c.want {
			t.Errorf("%q: %d, want %d", c.fields, got.StatusCode, c.want)
		}
	}
}

// TestReadOnly checks that there is no method but GET and HEAD.
func TestReadOnly(t *testing.T) {
	s := serverOf(docker(1))
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "BREW"} {
		for _, path := range append(paths, "/nowhere") {
			r := get(s, method, path)
			body(t, r, http.StatusMethodNotAllowed)
			if got := r.Header.Get("Allow"); got != "GET, HEAD" {
				t.Errorf("%s %s: Allow %q", method, path, got)
			}
		}
	}
	for _, path := range paths {
		want := len(body(t, get(s, "GET", path), 200))
		if r := get(s, "HEAD", path); body(t, r, 200) != "" || r.ContentLength != int64(want) {
			t.Errorf("HEAD %s: length %d, want %d and nothing more", path, r.ContentLength, want)
		}
	}
}

// TestBrowsersAreTold checks the fields that keep a browser from giving anything away, in each answer.
func TestBrowsersAreTold(t *testing.T) {
	s := serverOf(docker(1))
	for _, r := range []*http.Response{
		get(s, "GET", "/", "Accept: "+firefox), get(s, "GET", "/names"), get(s, "GET", "/nowhere", "Accept: "+firefox), get(s, "POST", "/"),
		get(s, "GET", "/", "Host: evil.example"), get(s, "GET", "/", "Origin: http://evil.example"), get(s, "GET", "/", "Accept: image/png"), get(s, "GET", "/assets/none"),
	} {
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("status %d: %s is %q, want %q", r.StatusCode, name, got, want)
			}
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("status %d: %s", r.StatusCode, name)
			}
		}
	}
}

// TestPages walks tables page by page, and searches.
func TestPages(t *testing.T) { synctest.Test(t, testPages) }

func testPages(t *testing.T) {
	s := serverOf(docker(2500), &block{key: "lan.:53", zones: []string{"lan."}, containers: 10})
	for path, all := range map[string]int{
		"/names": 2510, "/names?block=lan.:53": 10, "/names?q=WEB0001": 2, "/names?q=nothing": 0, "/names?q=in%09a%0910.0.0.249": 10,
		"/containers": 2510, "/containers?q=front": 2510, "/containers?q=secret": 0, "/containers?q=shop&limit=10000": 2510, "/zones/docker?limit=999": 2500, "/zones/LAN.": 10,
	} {
		seen, next := map[string]bool{}, ""
		for pages := 0; ; pages++ {
			link := path + map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "format=json&after=" + next
			var page struct {
				Rows []json.RawMessage
				All  int
				Next string
			}
			if err := json.Unmarshal([]byte(body(t, get(s, "GET", link), 200)), &page); err != nil {
				t.Fatal(err)
			}
			if page.All != all || page.Rows == nil {
				t.Errorf("%s: %d in all, want %d", link, page.All, all)
			}
			for _, row := range page.Rows {
				if seen[string(row)] {
					t.Fatalf("%s: twice %s", link, row)
				}
				seen[string(row)] = true
			}
			if page.Next == "" {
				break
			}
			if next = page.Next; pages > 10 {
				t.Fatalf("%s: no end", path)
			}
		}
		if len(seen) != all {
			t.Errorf("%s: %d rows, want %d", path, len(seen), all)
		}
	}
	text := body(t, get(s, "GET", "/names?limit=1&q=web"), 200)
	if want := "\n1 of 2510 are shown. Next: '/names?after=.%3A53%2Cdocker.%2Cweb0000.docker.&limit=1&q=web'\n"; !strings.HasSuffix(text, want) {
		t.Errorf("%q, want the end %q", text, want)
	}
	text = body(t, get(s, "GET", "/zones/docker?limit=1"), 200)
	if want := "web0000.docker.\t5\tIN\tA\t10.0.0.0\n; 1 of 2500 are shown. Next: '/zones/docker?after=000000000&limit=1'\n"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

// TestWrongRequests checks that an answer says what is wrong with a request, and what is accepted, in the form that is wanted.
func TestWrongRequests(t *testing.T) {
	s := serverOf(docker(1))
	for path, want := range map[string]string{
		"/nowhere":                             "404 There is nothing at /nowhere. There is:\n/explain/NAME",
		"/names?form=lan":                      "400 There is no parameter 'form'; want after, block, format, from, limit, q, type",
		"/names?q=a&q=b":                       "400 The parameter q stands there twice",
		"/names?q=" + strings.Repeat("a", 301): "400 The parameter q has 301 octets; want at most 300",
		"/names?q=%zz":                         "400 The parameters can't be read",
		"/names?limit=0":                       "400 '0' is not a limit; want a number from 1 to 10000",
		"/names?limit=10001":                   "400 '10001' is not a limit",
		"/names?block=x":                       "404 There is no server block 'x' with docker; there is .:53",
		"/names?from=nobody":                   "400 nobody is called so",
		"/explain/web?from=nobody":             "400 nobody is called so",
		"/explain/web?type=B":                  "400 'B' is no type of DNS; want one as A, AAAA, SRV or TYPE65",
		"/explain/web?type=TYPE65536":          "400 'TYPE65536' is no type of DNS",
		"/explain/a..b":                        "400 'a..b' is no name in DNS",
		"/containers/none":                     "404 No container has the name or ID 'none', or had it lately: /containers lists all",
		"/zones/none":                          "404 'none.' is no zone that can be listed; there is docker.",
	} {
		r := get(s, "GET", path)
		code := r.StatusCode
		if got := fmt.Sprintf("%d %s", code, body(t, r, code)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		if r.StatusCode == http.StatusNotAcceptable {
			continue
		}
		var p struct {
			Status int
			Error  string
		}
		r = get(s, "GET", path, "Accept: application/json")
		if err := json.Unmarshal([]byte(body(t, r, code)), &p); err != nil || p.Status != code || !strings.HasPrefix(fmt.Sprintf("%d %s", p.Status, p.Error), want) {
			t.Errorf("%s as JSON: %+v, %v", path, p, err)
		}
	}
}

// TestBlockOfAName checks which of several blocks explains a name.
func TestBlockOfAName(t *testing.T) {
	s := serverOf(docker(1), &block{key: "lab:53", zones: []string{"lab.docker."}}, &block{key: "docker:54", zones: []string{"docker."}}, &block{key: "arpa:53", zones: []string{"17.172.in-addr.arpa."}})
	for path, want := range map[string]string{
		"/explain/web.docker": ".:53", "/explain/web.lab.docker.": "lab:53", "/explain/LAB.Docker": "lab:53", "/explain/web.lan": ".:53", "/explain/web.docker?block=docker:54": "docker:54", "/explain/172.17.0.2": "arpa:53",
	} {
		var e struct{ Block string }
		if err := json.Unmarshal([]byte(body(t, get(s, "GET", path, "Accept: application/json"), 200)), &e); err != nil || e.Block != want {
			t.Errorf("%s: block %q, want %q (%v)", path, e.Block, want, err)
		}
	}
}

// TestTexts checks what a terminal shows, that nothing of a container's environment or other tools' labels is in it, and that a
// container's name can't command the terminal.
func TestTexts(t *testing.T) {
	odd := docker(1)
	odd.odd = "\x1b[31m\x9b\u009b\u202e\nroot"
	s := serverOf(docker(2))
	for path, want := range map[string]string{
		"/names": "NAME              OWNER     RECORDS\nweb0000.docker.   web0000   5 IN A 10.0.0.0\nweb0001.docker.   web0001   5 IN A 10.0.0.1\n",
		"/containers": "ID             CONTAINER   HOST   STATE     SINCE   ADDRESSES   NAMES\n" +
			"000000000000   web0000     nas    running   now     10.0.0.0    web0000.docker.\n" +
			"000000000000   web0001     nas    running   now     10.0.0.1    web0001.docker.\n",
		"/hosts": "HOST   STATE   SINCE   CONTAINERS   COMPARED   LAG   ENGINE   ENDPOINT\n" +
			"nas    away    -       2            -          -     -        unix:///run/docker.sock\n\nnas, 2026-12-01 08:00:00: refused\nstart Docker\n",
	} {
		if got := body(t, get(s, "GET", path), 200); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		}
	}
	if got := body(t, get(s, "GET", "/containers/web0001"), 200); !strings.Contains(got, "Container: web0001\n") || !strings.Contains(got, "Networks:  front 10.0.0.1\n") || !strings.Contains(got, `hostname name "a b": a blank`) {
		t.Errorf("a container:\n%s", got)
	}
	for _, path := range paths {
		for _, format := range []string{"text", "json", "html"} {
			got := body(t, get(s, "GET", path+"?format="+format), 200)
			if strings.Contains(got, "secret") {
				t.Errorf("%s as %s tells a secret:\n%s", path, format, got)
			}
			if strings.HasPrefix(path, "/containers/") {
				path = "/containers/" + strings.Repeat("0", 64)
			}
			got = body(t, get(serverOf(odd), "GET", path+"?format="+format), 200)
			if strings.ContainsAny(got, "\x1b\u009b\u202e") || !utf8.ValidString(got) || format != "html" && strings.Contains(got, "\nroot") { // in HTML a line break is a blank
				t.Errorf("%s as %s:\n%q", path, format, got)
			}
		}
	}
}

// TestTooMany checks that what can't be answered soon is told so, and that others' work is done meanwhile and after.
func TestTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := docker(1)
		b.wait = make(chan struct{})
		s := serverOf(b)
		var all sync.WaitGroup
		var answered, refused atomic.Int32
		for range 100 {
			all.Go(func() {
				switch r := get(s, "GET", "/containers"); {
				case r.StatusCode == http.StatusOK:
					answered.Add(1)
				case r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") == "1":
					refused.Add(1)
				default:
					t.Errorf("status %d", r.StatusCode)
				}
			})
		}
		time.Sleep(2 * time.Second)
		if n := refused.Load(); n != 100-16 {
			t.Errorf("%d are refused, want all but 16", n)
		}
		close(b.wait)
		all.Wait()
		if n := answered.Load(); n != 16 {
			t.Errorf("%d are answered, want 16", n)
		}
		body(t, get(s, "GET", "/containers"), 200)
	})
}

// pipes is a listener of connections in memory, which take nothing that is not read.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// closed returns how long the server keeps the connection.
func closed(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

const request = "GET /containers?format=json&limit=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n"

// TestSlowClients checks that who does not send or does not read is dropped.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		stop := serverOf(docker(2000)).Start(l, t.Errorf)
		defer stop()
		silent := l.dial()
		if took := closed(t, silent); took > 20*time.Second {
			t.Errorf("who says nothing is kept for %s", took)
		}
		half := l.dial()
		if _, err := io.WriteString(half, "GET / HTTP/1.1\r\nHost: loc"); err != nil {
			t.Fatal(err)
		}
		if took := closed(t, half); took > 6*time.Second {
			t.Errorf("half a request is waited for %s", took)
		}
		idle := l.dial()
		if _, err := io.WriteString(idle, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if took := closed(t, idle); took > 16*time.Second {
			t.Errorf("a connection without requests is kept for %s", took)
		}

		// None of these reads: some hold all that can be answered at once, the others are refused, and none for long.
		before := heap()
		var stalled []net.Conn
		for range 100 {
			c := l.dial()
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			stalled = append(stalled, c)
		}
		time.Sleep(3 * time.Second)
		if grown := heap() - before; grown > 32<<20 {
			t.Errorf("who does not read makes the heap grow by %d MiB", grown>>20)
		}
		time.Sleep(4 * time.Second)
		for _, c := range stalled {
			if took := closed(t, c); took != 0 {
				t.Errorf("who does not read is kept for %s more", took)
			}
		}

		// This one reads a little at a time.
		drip := l.dial()
		if _, err := io.WriteString(drip, request); err != nil {
			t.Fatal(err)
		}
		began, b := time.Now(), make([]byte, 8<<10)
		for {
			if _, err := io.ReadFull(drip, b); err != nil {
				break
			}
			time.Sleep(time.Second / 2)
		}
		if took := time.Since(began); took > 31*time.Second {
			t.Errorf("who reads slowly is kept for %s", took)
		}
	})
}

// TestLargeRequests checks that a request's head has a bound.
func TestLargeRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		defer serverOf(docker(1)).Start(l, t.Errorf)()
		for _, large := range []string{
			"GET /names?q=" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: " + strings.Repeat("text/html,", 1<<17) + "\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: y\r\n", 1<<17) + "\r\n",
		} {
			c := l.dial()
			go io.WriteString(c, large) // until the server closes it
			b, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 431 ") {
				t.Errorf("%.40s...: %.100q, %v", large, b, err)
			}
		}
	})
}

// TestStop checks that the end waits for answers, and does not for who holds a connection.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := docker(1)
		b.wait = make(chan struct{})
		l := newPipes()
		stop := serverOf(b).Start(l, t.Errorf)
		idle, asking := l.dial(), l.dial()
		if _, err := io.WriteString(asking, "GET /containers HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var all sync.WaitGroup
		all.Go(stop)
		time.Sleep(time.Second)
		close(b.wait)
		answer, err := io.ReadAll(asking)
		if err != nil || !strings.Contains(string(answer), "web0000") {
			t.Errorf("%q, %v", answer, err)
		}
		all.Wait()
		closed(t, idle)
	})
}

// TestPanic checks that a mistake of ours costs the answer alone, and no room for others.
func TestPanic(t *testing.T) {
	log.SetOutput(io.Discard) // of what has panicked
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		b := docker(1)
		l := newPipes()
		defer serverOf(b).Start(l, t.Errorf)()
		ask := func() string {
			c := l.dial()
			if _, err := io.WriteString(c, "GET /containers HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			return string(answer)
		}
		b.broken.Store(true)
		for range 20 {
			if got := ask(); got != "" {
				t.Errorf("%q, want nothing", got)
			}
		}
		b.broken.Store(false)
		if got := ask(); !strings.Contains(got, "web0000") {
			t.Errorf("afterwards: %q", got)
		}
	})
}

// counted counts the connections that a listener has accepted and that are open, and the most of them.
type counted struct {
	net.Listener
	open, most atomic.Int32
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if n := l.open.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	return &countedConn{Conn: c, of: l}, nil
}

type countedConn struct {
	net.Conn
	of   *counted
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.of.open.Add(-1) })
	return c.Conn.Close()
}

// TestCrowd has a thousand ask at once beside hundreds who say nothing: the connections have a bound, and none is left.
func TestCrowd(t *testing.T) {
	const conns = 128
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &counted{Listener: inner}
	stop := serverOf(docker(100)).Start(l, t.Errorf)
	addr := inner.Addr().String()

	var silent []net.Conn
	for range 400 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	for end := time.Now().Add(10 * time.Second); l.open.Load() < conns; {
		if time.Now().After(end) {
			t.Fatalf("%d connections are open of those who say nothing, want %d", l.open.Load(), conns)
		}
	}
	for _, c := range silent {
		c.Close()
	}

	var all sync.WaitGroup
	var answered, refused atomic.Int32
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 1000 {
		all.Go(func() {
			r, err := client.Get("http://" + addr + "/")
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			switch io.Copy(io.Discard, r.Body); r.StatusCode {
			case 200:
				answered.Add(1)
			case 503:
				refused.Add(1)
			default:
				t.Errorf("status %d", r.StatusCode)
			}
		})
	}
	all.Wait()
	if answered.Load() == 0 {
		t.Error("nobody is answered")
	}
	if n := l.most.Load(); n > conns {
		t.Errorf("%d connections are open at once, want at most %d", n, conns)
	}
	t.Logf("%d answered, %d refused, %d connections at most", answered.Load(), refused.Load(), l.most.Load())
	stop()
	if n := l.open.Load(); n > 0 {
		t.Errorf("%d connections are left", n)
	}
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
