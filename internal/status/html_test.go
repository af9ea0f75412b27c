package status_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/html"
)

// htmlPaths are those of all kinds of pages.
var htmlPaths = append([]string{"/?q=web0000", "/?q=nobody", "/?from=nobody", "/?after=200", "/explain", "/names?q=nobody", "/nowhere", "/?block=nobody"}, paths...)

// TestHTML checks that pages hold no script and style but those of files, which the policy lets a browser load, and nothing of
// others' servers; and that all that they lead to is there.
func TestHTML(t *testing.T) { synctest.Test(t, testHTML) }

func testHTML(t *testing.T) {
	b := docker(300)
	b.odd = `<script>alert("1")</script>`
	s := serverOf(b)
	led := map[string]bool{}
	for _, path := range htmlPaths {
		r := get(s, "GET", path, "Accept: "+firefox)
		page, err := html.Parse(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		for n := range page.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			if n.Data == "style" || n.Data == "script" && n.FirstChild != nil {
				t.Errorf("%s: a %s inside", path, n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case a.Key == "style", strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
				case (a.Key == "href" || a.Key == "src" || a.Key == "action") && !led[a.Val]:
					led[a.Val] = true
					leads(t, s, path, a.Val)
				}
			}
		}
	}
}

// leads checks that the link leads to something of the server's.
func leads(t *testing.T, s http.Handler, path, link string) {
	t.Helper()
	u, err := url.Parse(link)
	switch {
	case err != nil, u.Host != "", u.Scheme != "":
		t.Errorf("%s leads to %s: %v", path, link, err)
	case u.Path == "": // a place in the page
	default:
		if r := get(s, "GET", link, "Accept: "+firefox); r.StatusCode >= http.StatusBadRequest {
			t.Errorf("%s leads to %s: %s", path, link, r.Status)
		}
	}
}

// TestFront checks what the page of the containers says as the server makes it.
func TestFront(t *testing.T) {
	s := serverOf(docker(300))
	for path, want := range map[string][]string{
		"/":                {"300 containers", ">web0000<", ">web0099<", "/?after=100", "/explain/web0000.docker?block=.%3A53&amp;from=host"},
		"/?after=200":      {">web0200<", ">web0299<"},
		"/?q=WEB0290":      {"1 of 300 containers", ">web0290<"},
		"/?q=web0290+shop": {"1 of 300 containers"},
		"/?q=nobody":       {"0 of 300 containers", "Why has nobody no answer?", "/explain?block=.%3A53&amp;from=host&amp;name=nobody"},
		"/?from=nobody":    {"nobody is called so"},
		"/containers":      {"300 containers"},
	} {
		page := body(t, get(s, "GET", path, "Accept: "+firefox), http.StatusOK)
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("%s: no %s in\n%s", path, w, page)
			}
		}
	}
	for path, not := range map[string]string{"/": ">web0100<", "/?after=200": ">web0199<", "/?q=web0290": ">web0291<"} {
		if strings.Contains(body(t, get(s, "GET", path, "Accept: "+firefox), http.StatusOK), not) {
			t.Errorf("%s: %s", path, not)
		}
	}
	for _, page := range []string{"/?after=-1", "/?after=web"} {
		body(t, get(s, "GET", page, "Accept: "+firefox), http.StatusBadRequest)
	}
	if empty := body(t, get(serverOf(docker(0)), "GET", "/", "Accept: "+firefox), http.StatusOK); !strings.Contains(empty, "docker run") {
		t.Error("without containers the page does not say how there are some")
	}
}

// TestAsk checks that a form's question leads to the explanation.
func TestAsk(t *testing.T) {
	s := serverOf(docker(1))
	r := get(s, "GET", "/explain?name=a%2Fb.docker&type=AAAA&from=lan", "Accept: "+firefox)
	if at := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || at != "/explain/a%2Fb.docker?from=lan&type=AAAA" {
		t.Errorf("%s to %s", r.Status, at)
	}
	for _, want := range []string{`value="web0000.docker"`, `<option selected>TXT`, `value="lan"`} {
		if page := body(t, get(s, "GET", "/explain/web0000.docker?type=txt&from=lan", "Accept: "+firefox), http.StatusOK); !strings.Contains(page, want) {
			t.Errorf("the form does not have what was asked: no %s in\n%s", want, page)
		}
	}
	body(t, get(s, "GET", "/explain?name=", "Accept: "+firefox), http.StatusOK)
}

// TestAssets checks that a browser may keep what pages load, and that there is nothing else.
func TestAssets(t *testing.T) {
	s := serverOf(docker(1))
	page, err := html.Parse(get(s, "GET", "/", "Accept: "+firefox).Body)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for n := range page.Descendants() {
		for _, a := range n.Attr {
			if !strings.HasPrefix(a.Val, "/assets/") {
				continue
			}
			r := get(s, "GET", a.Val)
			types[r.Header.Get("Content-Type")] = true
			if body(t, r, http.StatusOK) == "" || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %v", a.Val, r.Header)
			}
		}
	}
	for _, want := range []string{"text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/svg+xml"} {
		if !types[want] {
			t.Errorf("the page loads no %s", want)
		}
	}
	for _, path := range []string{"/assets/page.js", "/assets/", "/assets/..%2Fhtml.go"} {
		body(t, get(s, "GET", path), http.StatusNotFound)
	}
}
