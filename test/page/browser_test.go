package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for what a page has to do.
const patience = time.Minute

// tab is a page in a browser of its own.
type tab struct {
	context.Context
	t *testing.T

	mu        sync.Mutex // guards the following
	complains []string   // the page's, on the console
	forgiven  []string   // what complaints may have in them
	asked     []string   // URLs
}

// look says how a tab shows pages.
type look struct {
	width, height int64
	scheme        string // of colours: light or dark
}

var desktop = look{1280, 800, "light"}

// open opens the page, after the browser has done something else. At the test's end the page must not have complained, nor asked anybody else for anything.
func open(t *testing.T, l look, address string, before ...chromedp.Action) *tab {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.WSURLReadTimeout(patience), chromedp.UserDataDir(folderOf()), chromedp.Env("TMPDIR="+theRun.Folder), chromedp.WindowSize(int(l.width), int(l.height)))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil { // the browser lasts as long as the context with which it is started
		t.Fatal(err)
	}
	b := &tab{Context: ctx, t: t}
	chromedp.ListenTarget(ctx, b.note)
	b.do(network.Enable(), emulation.SetDeviceMetricsOverride(l.width, l.height, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}}),
		chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(watch).Do(ctx)
			return err
		}),
	)
	b.do(append(before, chromedp.Navigate(address))...)
	t.Cleanup(func() { b.behaved(address) })
	return b
}

// watch has the page keep what its policy has forbidden, and tasks that kept it from reacting.
const watch = `
	window.violations = [];
	window.tasks = [];
	document.addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI));
	new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration))).observe({type: 'longtask', buffered: true});`

// note notes what the browser tells of the page.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.complains = append(b.complains, fmt.Sprint(e.Type, " ", e.Args))
	case *runtime.EventExceptionThrown:
		b.complains = append(b.complains, e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		b.complains = append(b.complains, e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	}
}

// behaved checks that the page has not complained, has done nothing that its policy forbids, and asked nobody but its server.
func (b *tab) behaved(address string) {
	var violations []string
	if err := chromedp.Run(b, chromedp.Evaluate("window.violations ?? []", &violations)); err != nil {
		b.t.Errorf("the browser: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range violations {
		b.t.Errorf("the policy forbids %s", v)
	}
	for _, c := range b.complains {
		if !slices.ContainsFunc(b.forgiven, func(text string) bool { return strings.Contains(c, text) }) {
			b.t.Errorf("on the console: %s", c)
		}
	}
	own, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, asked := range b.asked {
		if u, err := url.Parse(asked); err != nil || u.Host != own.Host {
			b.t.Errorf("the page asks for %s", asked)
		}
	}
	if len(b.asked) == 0 {
		b.t.Error("the browser does not tell what the page asks for")
	}
}

// forgive lets the page complain with the text, before and after: the browser itself notes what a server refuses, also while the
// test ends.
func (b *tab) forgive(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgiven = append(b.forgiven, text)
}

// do has the browser act.
func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// keys presses keys one after the other.
func (b *tab) keys(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// slash presses the key / as a keyboard does: a page can keep it from what has the focus then.
func (b *tab) slash() {
	b.t.Helper()
	press := func(kind input.KeyType) chromedp.Action {
		return input.DispatchKeyEvent(kind).WithKey("/").WithCode("Slash").WithText("/")
	}
	b.do(press(input.KeyDown), press(input.KeyUp))
}

// search has the search look for the text.
func (b *tab) search(text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelector('#q').value = %q; document.querySelector('#q').dispatchEvent(new Event('input'))`, text), nil))
}

// submit sends the form of the search, or of an explanation, with the text.
func (b *tab) submit(text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(fmt.Sprintf(`document.querySelector('#q').value = %q; document.querySelector('#q').form.requestSubmit()`, text), nil))
}

// follow follows the page's link of the text.
func (b *tab) follow(text string) {
	b.t.Helper()
	b.click(fmt.Sprintf(`[...document.querySelectorAll('main a')].find((a) => a.textContent === %q)`, text))
}

// click clicks on what the script finds, once there is that: between two calls of the browser what one has found may be replaced.
func (b *tab) click(script string) {
	b.t.Helper()
	b.await(fmt.Sprintf(`(() => { const e = %s; e?.click(); return !!e; })()`, script))
}

// eval returns what the expression is in the page.
func eval[T any](b *tab, expression string) (value T) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &value))
	return value
}

// await waits until the page is loaded and the expression is true in it. While the browser goes from page to page the expression
// may fail, or the page go away that it is asked of.
func (b *tab) await(expression string) {
	b.t.Helper()
	whole := fmt.Sprintf(`document.readyState === 'complete' && (%s)`, expression)
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	for {
		var is bool
		err := chromedp.Run(ctx, chromedp.Evaluate(whole, &is))
		if err == nil && is {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("not within %v: %s (%v)\nthe page shows:\n%s", patience, expression, err, eval[string](b, "document.body.innerText"))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// live waits until the page is live and has all containers.
func (b *tab) live(containers int) {
	b.t.Helper()
	b.await(fmt.Sprintf(`document.querySelector('#live').dataset.state === 'live' && document.querySelector('#count').textContent === '%s'`, many(containers)))
}

// rows returns the names of the containers that the page shows.
func (b *tab) rows() []string {
	b.t.Helper()
	return eval[[]string](b, rowNames)
}

// rowNames are the names of the containers that the page shows.
const rowNames = `[...document.querySelectorAll('#containers tbody tr:not([hidden]) .who a')].map((a) => a.textContent)`

// awaitRows waits until the page shows these containers and no others.
func (b *tab) awaitRows(names ...string) {
	b.t.Helper()
	want, err := json.Marshal(append([]string{}, names...))
	if err != nil {
		b.t.Fatal(err)
	}
	b.await(fmt.Sprintf(`JSON.stringify(%s) === %q`, rowNames, want))
}

// row returns the text of the container's row.
func (b *tab) row(name string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`[...document.querySelectorAll('#containers tbody tr')].find((tr) => tr.querySelector('.who a').textContent === %q)?.innerText ?? ''`, name))
}
