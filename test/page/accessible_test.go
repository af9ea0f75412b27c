package page

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// noScripts has the browser run no scripts of pages.
func noScripts(ctx context.Context) error {
	return emulation.SetScriptExecutionDisabled(true).Do(ctx)
}

// fetch returns a page as the server makes it.
func fetch(url string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "text/html")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return string(text), err
}

// listen listens to the server's events until it takes no more listeners, and until the test's end.
func listen(t *testing.T, url string) {
	t.Helper()
	for range 1000 {
		answer, err := http.Get(url + "/events")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		if answer.StatusCode == http.StatusServiceUnavailable {
			return
		}
		if line, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil {
			t.Fatalf("%s: %v: %s", answer.Status, err, line)
		}
	}
	t.Fatal("there is no bound on how many listen")
}

// accessible checks that what a screen reader tells of the page has a name where it needs one, and that there are the landmarks
// by which people find their way.
func (b *tab) accessible() {
	b.t.Helper()
	var nodes []*accessibility.Node
	b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		nodes, err = accessibility.GetFullAXTree().Do(ctx)
		return err
	}))
	has := map[string]int{}
	for _, n := range nodes {
		if n.Ignored {
			continue
		}
		role := text(n.Role)
		has[role]++
		switch role {
		case "link", "button", "textbox", "searchbox", "combobox", "navigation", "region", "columnheader", "image", "heading", "RootWebArea":
			if text(n.Name) == "" {
				b.t.Errorf("a %s has no name", role)
			}
		}
	}
	for _, role := range []string{"main", "banner", "navigation", "contentinfo"} {
		if has[role] == 0 {
			b.t.Errorf("there is no %s", role)
		}
	}
	if tables := eval[int](b, `[...document.querySelectorAll('table')].filter((t) => t.offsetParent).length`); tables > 0 && (has["table"] != tables || has["columnheader"] == 0) {
		b.t.Errorf("%d tables are told as %d, with %d heads", tables, has["table"], has["columnheader"])
	}
	if h1 := eval[int](b, `document.querySelectorAll('h1').length`); h1 != 1 {
		b.t.Errorf("%d main headings", h1)
	}
}

// text is a value of the accessibility tree.
func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(v.Value), `"`)
}
