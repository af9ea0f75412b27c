package page

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// TestLive checks that the page shows what happens to containers, and keeps its place for who uses the keyboard.
func TestLive(t *testing.T) {
	e := enginetest.New(t)
	s := serve(t, endpoint(e, "nas"), "hold 1m")
	b := open(t, desktop, s.url)
	b.live(0)
	if empty := eval[string](b, `document.querySelector('#empty').innerText`); !strings.Contains(empty, "docker run") {
		t.Errorf("without containers the page says %q", empty)
	}

	web := e.Run(enginetest.Spec{Name: "web"})
	b.awaitRows("web")
	for _, want := range []string{"running", "web.docker", "172.17.0."} {
		if row := b.row("web"); !strings.Contains(row, want) {
			t.Errorf("the row of a new container is %q, want %q in it", row, want)
		}
	}
	e.Run(enginetest.Spec{Name: "api"})
	b.awaitRows("api", "web")
	b.await(`(() => { const a = [...document.querySelectorAll('#containers a')].find((a) => a.textContent === 'web'); a?.focus(); return document.activeElement === a; })()`)
	e.Pause(web)
	b.await(`document.querySelector('tr:nth-child(2) .state').textContent === 'paused'`)
	if at := eval[string](b, `document.activeElement.textContent`); at != "web" {
		t.Errorf("after the row of the link with the focus has changed, the focus is on %q", at)
	}
	e.Unpause(web)
	e.Rename(web, "zeta")
	b.awaitRows("api", "zeta")
	if row := b.row("zeta"); !strings.Contains(row, "zeta.docker") {
		t.Errorf("the row of a renamed container is %q", row)
	}
	e.Stop(web)
	b.await(`document.querySelector('tr:nth-child(2) .state').textContent === 'held'`)
	if said := eval[string](b, `document.querySelector('#say').textContent`); said == "" {
		t.Error("who listens to the page is not told of changes")
	}
}

// TestSearch checks that a search finds containers by all that they are called and have, at each key.
func TestSearch(t *testing.T) {
	s, b := openTown(t)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"redis", []string{"cloud-redis-1"}},
		{"REDIS", []string{"cloud-redis-1"}},
		{"code.docker", []string{"git"}},
		{"172.21.0.", []string{"caddy", "cloud-app-1"}},
		{"unhealthy", []string{"cloud-worker-1"}},
		{"cloud healthy -db", []string{"cloud-db-1"}},
		{"nobody", nil},
	} {
		b.search("")
		b.do(chromedp.SendKeys("#q", c.query))
		b.awaitRows(c.want...)
		// The server finds the same for who has no script.
		plain, err := fetch(s.url + "/?q=" + strings.ReplaceAll(c.query, " ", "+"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"caddy", "cloud-app-1", "cloud-db-1", "cloud-redis-1", "cloud-worker-1", "git"} {
			found := false
			for _, w := range c.want {
				found = found || w == name
			}
			if strings.Contains(plain, ">"+name+"</a>") != found {
				t.Errorf("%s: the page as the server makes it has %s: %v, want %v", c.query, name, !found, found)
			}
		}
	}
	if got := eval[string](b, `location.search`); got != "?q=nobody" {
		t.Errorf("the address has %q: a page that is loaded anew would not search", got)
	}
	b.await(`document.querySelector('#why').textContent.includes(' nobody ')`)
	b.click(`document.querySelector('#why')`)
	b.await(`location.pathname === '/explain/nobody'`)
	b.await(`document.querySelector('main').innerText.includes('nobody')`)
}

// TestExplanation checks the way from a container to why its name has its answer for somebody else.
func TestExplanation(t *testing.T) {
	_, b := openTown(t)
	b.click(`document.querySelector('button[name=from][value=lan]')`)
	b.await(`location.search.includes('from=lan')`)
	b.live(townSize)
	if row := b.row("git"); !strings.Contains(row, "none") {
		t.Errorf("as seen from the LAN the row of a container that publishes nothing is %q", row)
	}
	b.follow("git.docker")
	b.await(`location.pathname === '/explain/git.docker'`)
	text := eval[string](b, `document.querySelector('main').innerText`)
	for _, want := range []string{"git.docker", "the LAN", "publish"} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation lacks %q:\n%s", want, text)
		}
	}
	b.submit("gti.docker")
	b.await(`location.pathname === '/explain/gti.docker'`)
	b.follow("git.docker.") // did you mean
	b.await(`location.pathname === '/explain/git.docker'`)
}

// TestKeyboard goes from the page's top to a container and its explanation by keys alone.
func TestKeyboard(t *testing.T) {
	_, b := openTown(t)
	b.keys(kb.Tab)
	if at := eval[string](b, `document.activeElement.textContent`); at != "Skip to content" {
		t.Errorf("the first stop is %q", at)
	}
	if outline := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
		t.Error("the focus can't be seen")
	}
	b.slash()
	b.await(`document.activeElement.id === 'q'`)
	b.keys("cloud")
	b.awaitRows("cloud-app-1", "cloud-db-1", "cloud-redis-1", "cloud-worker-1")
	b.keys(kb.ArrowDown + kb.ArrowDown)
	if at := eval[string](b, `document.activeElement.textContent`); at != "cloud-db-1" {
		t.Errorf("two times down from the search is %q", at)
	}
	b.keys(kb.ArrowUp + kb.ArrowUp)
	b.await(`document.activeElement.id === 'q'`)
	b.keys(kb.Escape)
	b.await(`document.querySelector('#q').value === ''`)
	b.keys(kb.ArrowDown + kb.Enter)
	b.await(`location.pathname.startsWith('/containers/')`)
	b.await(`document.querySelector('h1').textContent === 'backup'`)
}

// TestKeysAtOnce types faster than the browser draws.
func TestKeysAtOnce(t *testing.T) {
	_, b := openTown(t)
	for _, c := range []struct{ query, want string }{{"cloud", "cloud-app-1"}, {"", "backup"}, {"git", "git"}, {"redis", "cloud-redis-1"}} {
		at := eval[string](b, fmt.Sprintf(`(() => {
			const q = document.querySelector('#q');
			q.focus();
			q.value = %q;
			q.dispatchEvent(new Event('input'));
			q.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', bubbles: true}));
			return document.activeElement.textContent;
		})()`, c.query))
		if at != c.want {
			t.Errorf("down from the search for %q is %q, want %q", c.query, at, c.want)
		}
	}
}

// pages are the paths of all kinds of pages.
var pages = []string{"/", "/?q=nobody", "/?from=nobody", "/names", "/names?from=lan", "/containers/git", "/containers/watchtower", "/hosts", "/zones/docker.", "/explain", "/explain/git.docker", "/explain/gti.docker?from=lan", "/nowhere"}

// TestNarrow checks that nothing is wider than a small telephone, and that a table is one still where it looks like cards.
func TestNarrow(t *testing.T) {
	e := enginetest.New(t)
	town(e)
	s := serve(t, endpoint(e, "nas"))
	for _, path := range pages {
		t.Run(path, func(t *testing.T) {
			b := open(t, look{360, 740, "light"}, s.url+path)
			if path == "/nowhere" {
				b.forgive("404")
			}
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%d pixels wider than the screen: %v", over, eval[[]string](b,
					`[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.tagName + '.' + e.className)`))
			}
			b.accessible()
		})
	}
}

// TestWithoutScript checks that who has no scripts sees all, and can search and choose who asks.
func TestWithoutScript(t *testing.T) {
	e := enginetest.New(t)
	for i := range 101 {
		e.Run(enginetest.Spec{Name: fmt.Sprintf("n%03d", i)})
	}
	s := serve(t, endpoint(e, "nas"))
	b := open(t, desktop, s.url, chromedp.ActionFunc(noScripts))
	if rows := b.rows(); len(rows) != 100 || rows[0] != "n000" {
		t.Errorf("%d rows from %v", len(rows), rows[:min(1, len(rows))])
	}
	b.click(`document.querySelector('#more')`)
	b.awaitRows("n100")
	b.submit("n017")
	b.awaitRows("n017")
	b.click(`document.querySelector('button[name=from][value=lan]')`)
	b.await(`document.querySelector('button[value=lan]')?.getAttribute('aria-pressed') === 'true'`)
	b.awaitRows("n017")
}

// TestServerGone checks that the page says when it is not live, and is again by itself.
func TestServerGone(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	s := serve(t, endpoint(e, "nas"))
	b := open(t, desktop, s.url)
	b.live(1)
	corefile, err := os.ReadFile(s.Corefile)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(strings.Replace(string(corefile), "status ", "#", 1)); err != nil {
		t.Fatal(err)
	}
	b.await(`document.querySelector('#live').textContent === 'Connection lost, trying again'`)
	e.Run(enginetest.Spec{Name: "api"})
	if err := s.Reload(string(corefile)); err != nil {
		t.Fatal(err)
	}
	b.live(2)
	b.awaitRows("api", "web")
	b.forgive("ERR_CONNECTION_REFUSED")
}

// TestTooManyPages checks that a page that can't be live looks from time to time.
func TestTooManyPages(t *testing.T) {
	e := enginetest.New(t)
	e.Run(enginetest.Spec{Name: "web"})
	s := serve(t, endpoint(e, "nas"))
	listen(t, s.url)
	b := open(t, desktop, s.url)
	b.await(`document.querySelector('#live').textContent.startsWith('Not live')`)
	e.Run(enginetest.Spec{Name: "api"})
	b.awaitRows("api", "web")
	b.forgive("503")
}

// TestDockerRun starts a container of the machine's engine. The page has it within a second of when it runs.
func TestDockerRun(t *testing.T) {
	s := serve(t)
	b := open(t, desktop, s.url)
	b.await(`document.querySelector('#live').dataset.state === 'live' && /^[0-9,]+ container/.test(document.querySelector('#count').textContent)`)
	name := "page-" + rig.Suffix()
	b.do(chromedp.Evaluate(fmt.Sprintf(`
		new MutationObserver(() => {
			const row = [...document.querySelectorAll('#containers tbody tr')].find((tr) => tr.querySelector('.who a').textContent === %q && tr.querySelector('.state').textContent === 'running');
			if (row) window.shownAt ??= Date.now();
		}).observe(document.querySelector('#containers tbody'), {childList: true, subtree: true});
		document.querySelector('#q').value = %q;
		document.querySelector('#q').dispatchEvent(new Event('input'));`, name, name), nil))
	if out, err := rig.Docker("run", "-d", "--name", name, image); err != nil {
		t.Fatalf("docker run: %v: %s", err, out)
	}
	t.Cleanup(func() { rig.Docker("rm", "-f", name) })
	b.await(`window.shownAt !== undefined`)
	at, err := rig.Docker("inspect", "-f", "{{.State.StartedAt}}", name)
	if err != nil {
		t.Fatal(at)
	}
	started, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		t.Fatal(err)
	}
	took := time.UnixMilli(eval[int64](b, `window.shownAt`)).Sub(started)
	t.Logf("the page shows a container %v after it has started", took)
	if limit := rig.Limit(time.Second, 10*time.Second); took > limit {
		t.Errorf("the page shows a container %v after it has started, want %v at most", took, limit)
	}
}
