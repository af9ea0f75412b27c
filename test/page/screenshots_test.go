package page

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// TestScreenshots takes the pictures of docs/screenshots.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("takes pictures: -page.screenshots says where to")
	}
	e := enginetest.New(t)
	town(e)
	s := serve(t, endpoint(e, "nas"))
	for _, p := range []struct{ name, path string }{
		{"containers", "/"}, {"explain", "/explain/git.docker?from=lan"},
	} {
		for _, l := range []look{{360, 740, "light"}, {360, 740, "dark"}, {1280, 800, "light"}, {1280, 800, "dark"}} {
			b := open(t, l, s.url+p.path)
			if p.path == "/" {
				b.live(townSize)
			}
			var picture []byte
			b.do(chromedp.CaptureScreenshot(&picture))
			file := filepath.Join(*screenshots, fmt.Sprintf("%s-%d-%s.png", p.name, l.width, l.scheme))
			if err := os.WriteFile(file, picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
