package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// testInAContainer has the host's port 53 at a loopback address that nobody else is likely to have.
func testInAContainer(t *testing.T) {
	archive, image, err := theRun.BuildServerImage(root)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := rig.Docker("load", "-i", archive); err != nil {
		t.Fatalf("docker load: %v: %s", err, out)
	}
	known := docker0(t)
	known["127.0.0.1"] = "127.153.0.53"
	e := open(t, "in-a-container", known)
	e.env = []string{"DOCKERDISCOVERY_IMAGE=" + image, "SOCKET_PROXY_IMAGE=" + socketProxy(t)}
	e.run()
}

// proxyConfig has the stand-in for the public socket proxy let through what that does, by the same variables.
const proxyConfig = `
defaults
	mode http
	timeout connect 10s
	timeout client 10m
	timeout server 10m
backend engine
	server engine /var/run/docker.sock
frontend proxy
	bind :2375
	http-request deny unless METH_GET
	http-request allow if { path -m reg ^(/v[0-9.]+)?/_ping } { env(PING) -m bool }
	http-request allow if { path -m reg ^(/v[0-9.]+)?/version } { env(VERSION) -m bool }
	http-request allow if { path -m reg ^(/v[0-9.]+)?/info } { env(INFO) -m bool }
	http-request allow if { path -m reg ^(/v[0-9.]+)?/events } { env(EVENTS) -m bool }
	http-request allow if { path -m reg ^(/v[0-9.]+)?/containers } { env(CONTAINERS) -m bool }
	http-request allow if { path -m reg ^(/v[0-9.]+)?/networks } { env(NETWORKS) -m bool }
	http-request deny
	default_backend engine
`

var library = regexp.MustCompile(`/\S+`)

// socketProxy returns an image that stands for the public one: HAProxy, as that is, of this machine, and busybox.
func socketProxy(t *testing.T) string {
	t.Helper()
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := rig.Output(exec.Command("ldd", haproxy))
	if err != nil {
		t.Fatalf("ldd %s: %v: %s", haproxy, err, libraries)
	}
	tree := filepath.Join(theRun.Folder, "socket-proxy")
	for _, dir := range []string{"lib64", "usr"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyFiles := append([]string{"--dereference", "--parents", "--target-directory", tree, haproxy}, library.FindAllString(libraries, -1)...)
	if out, err := exec.Command("cp", copyFiles...).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(tree, "haproxy.cfg"), []byte(proxyConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "--create", "--file", tree+".tar", "--directory", tree, ".", "--directory", filepath.Join(theRun.Folder, "busybox"), "./bin").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	image := "dockerdiscovery-socket-proxy:" + theRun.ID
	entry := fmt.Sprintf(`ENTRYPOINT [%q, "-W", "-db", "-f", "/haproxy.cfg"]`, haproxy)
	if out, err := rig.Docker("import", "--change", entry, "--change", "ENV PATH=/bin", "--change", "LABEL "+theRun.Label(), tree+".tar", image); err != nil {
		t.Fatalf("docker import: %v: %s", err, out)
	}
	return image
}
