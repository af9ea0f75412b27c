package page

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// TestLarge records how long a page with many containers keeps a browser from reacting: while it is loaded, searched, and
// updated.
func TestLarge(t *testing.T) {
	if *large == 0 {
		t.Skip("records figures: -page.containers says with how many containers")
	}
	e := enginetest.New(t)
	const perNetwork = 5000
	for i := 0; i < *large; i += perNetwork {
		e.AddNetwork(fmt.Sprint("net", i/perNetwork), fmt.Sprintf("10.%d.0.0/16", i/perNetwork))
	}
	ids := e.Populate(*large, func(i int) enginetest.Spec {
		return enginetest.Spec{
			Name:     fmt.Sprintf("c%06d", i),
			Networks: []enginetest.Attachment{{Network: fmt.Sprint("net", i/perNetwork), Aliases: []string{fmt.Sprintf("a%06d", i)}}},
			Labels:   map[string]string{"com.docker.compose.service": fmt.Sprintf("s%d", i%10), "com.docker.compose.project": fmt.Sprintf("p%06d", i/10)},
		}
	})
	s := serve(t, endpoint(e, "nas"))
	begin := time.Now()
	b := open(t, desktop, s.url)
	record := func(what string) {
		tasks := eval[[]float64](b, `tasks.splice(0)`)
		longest := 0.0
		if len(tasks) > 0 {
			longest = slices.Max(tasks)
		}
		t.Logf("%s: %v; %d tasks longer than 50 ms, the longest %.0f ms", what, time.Since(begin).Round(time.Millisecond), len(tasks), longest)
		if longest > 200 {
			t.Errorf("%s: a task of %.0f ms, want 200 at most", what, longest)
		}
		begin = time.Now()
	}
	b.live(*large)
	record("loaded")
	b.do(chromedp.SendKeys("#q", "c0099"))
	b.await(`document.querySelectorAll('#containers tbody tr').length === 100`)
	record("searched by five keys")
	b.search("")
	b.await(`document.querySelectorAll('#containers tbody tr').length === 100`)
	record("all again")
	for _, id := range ids[:100] {
		e.Pause(id)
	}
	b.await(`[...document.querySelectorAll('#containers tbody .state')].every((s) => s.textContent === 'paused')`)
	record("100 changes of what is shown")
	e.Run(enginetest.Spec{Name: "a-new-one"})
	b.await(`document.querySelector('#containers tbody .who a').textContent === 'a-new-one'`)
	record("a new container")
	for range 4 {
		b.do(chromedp.Evaluate(`document.querySelector('#more').click()`, nil))
	}
	b.await(`document.querySelectorAll('#containers tbody tr').length === 500`)
	record("four hundred more of them")
}
