package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// socketProxy returns an image that stands for the public one: HAProxy, as that is, of this machine, and busybox.
func socketProxy(t *testing.T) string {
	t.Helper()
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := theRun.NewTree("socket-proxy")
	if err == nil {
		err = tree.AddBusybox()
	}
	if err == nil {
		err = tree.AddPrograms(haproxy)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(tree.Dir, "haproxy.cfg"), []byte(proxyConfig), 0o644)
	}
	var tarball string
	if err == nil {
		tarball, err = tree.Pack()
	}
	if err != nil {
		t.Fatal(err)
	}
	image := "dockerdiscovery-socket-proxy:" + theRun.ID
	entry := fmt.Sprintf(`ENTRYPOINT [%q, "-W", "-db", "-f", "/haproxy.cfg"]`, haproxy)
	if out, err := rig.Docker(theRun.ImportTree(tarball, image, entry)...); err != nil {
		t.Fatalf("docker import: %v: %s", err, out)
	}
	return image
}
