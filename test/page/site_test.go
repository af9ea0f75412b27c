package page

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// site is a coredns with a status page.
type site struct {
	*rig.Server
	url string
}

// serve starts a coredns with the lines in its docker block. It runs until the test's end.
func serve(t *testing.T, lines ...string) *site {
	t.Helper()
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s, err := rig.Serve(rig.Config{
		Binary: binary, Dir: t.TempDir(),
		Body: fmt.Sprintf("docker docker {\n%s\nstatus %s\n}", strings.Join(lines, "\n"), at),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.StopAfter(t, patience)
	if err := s.AwaitReady(patience); err != nil {
		t.Fatal(err)
	}
	return &site{s, "http://" + at}
}

// endpoint is the line that has an engine of the test's watched, by the host's name.
func endpoint(e *enginetest.Engine, name string) string {
	return "endpoint " + e.Host() + " " + name
}

// town runs on an engine what people run at home.
func town(e *enginetest.Engine) {
	e.AddNetwork("cloud_default", "172.20.0.0/24")
	e.AddNetwork("proxy", "172.21.0.0/24")
	compose := func(project, service string) map[string]string {
		return map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": service}
	}
	for _, s := range []enginetest.Spec{
		{Name: "caddy", Networks: []enginetest.Attachment{{Network: "proxy"}}, Publish: []string{"0.0.0.0:443:443/tcp"}},
		{Name: "cloud-app-1", NetworkMode: "cloud_default", Labels: compose("cloud", "app"), Health: "healthy",
			Networks: []enginetest.Attachment{{Network: "cloud_default", Aliases: []string{"app"}}, {Network: "proxy"}}},
		{Name: "cloud-db-1", Labels: compose("cloud", "db"), Health: "healthy", Networks: []enginetest.Attachment{{Network: "cloud_default", Aliases: []string{"db"}}}},
		{Name: "cloud-redis-1", Labels: compose("cloud", "redis"), Networks: []enginetest.Attachment{{Network: "cloud_default", Aliases: []string{"redis"}}}},
		{Name: "cloud-worker-1", Labels: compose("cloud", "worker"), Health: "unhealthy", Networks: []enginetest.Attachment{{Network: "cloud_default", Aliases: []string{"worker"}}}},
		{Name: "git", Labels: map[string]string{"coredns.dockerdiscovery.host": "code.docker"}},
		{Name: "homeassistant", NetworkMode: "host"},
		{Name: "watchtower", Labels: map[string]string{"coredns.dockerdiscovery.enable": "false"}},
	} {
		e.Run(s)
	}
	e.Pause(e.Run(enginetest.Spec{Name: "backup"}))
}

// openTown opens the page of a town, and waits until it is live.
func openTown(t *testing.T) (*site, *tab) {
	t.Helper()
	e := enginetest.New(t)
	town(e)
	s := serve(t, endpoint(e, "nas"))
	b := open(t, desktop, s.url)
	b.live(townSize)
	return s, b
}

// townSize is how many containers a town has.
const townSize = 9

// folderOf is where a test's browser keeps its files.
func folderOf() string { return filepath.Join(theRun.Folder, "browser-"+rig.Suffix()) }

// many is how a page tells how many containers there are.
func many(containers int) string {
	if containers == 1 {
		return "1 container"
	}
	digits := strconv.Itoa(containers)
	if n := len(digits); n > 3 {
		digits = digits[:n-3] + "," + digits[n-3:]
	}
	return digits + " containers"
}
