package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// All ways to write one engine are one, and no others.
func TestCanonical(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"var": "run", "other.sock": "run/docker.sock", "dangling.sock": "nowhere/d.sock", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	socket := "unix://" + dir + "/run/docker.sock" // there is none
	for host, want := range map[string]string{
		socket:                                    socket,
		"unix://" + dir + "/var/docker.sock":      socket,
		"unix://" + dir + "/other.sock":           socket,
		"unix://" + dir + "//run/./docker.sock/":  socket,
		"unix://" + dir + "/x/../run/docker.sock": socket,
		"unix://" + dir + "/dangling.sock":        "unix://" + dir + "/nowhere/d.sock",
		"unix://" + dir + "/run/other.sock":       "unix://" + dir + "/run/other.sock",
		"unix://" + dir + "/loop":                 "unix://" + dir + "/loop",

		"tcp://engine.example:2375":    "tcp://engine.example:2375",
		"tcp://Engine.EXAMPLE.:02375/": "tcp://engine.example:2375",
		"tcp://engine.example:2376":    "tcp://engine.example:2376",
		"tcp://[FD00:0::1]:2375":       "tcp://[fd00::1]:2375",
		"tcp://[::ffff:10.0.0.1]:2375": "tcp://10.0.0.1:2375",
		"tcp://10.0.0.1:2375/path/":    "tcp://10.0.0.1:2375/path",

		"ssh://nas":                     "ssh://nas",
		"ssh://NAS.:22/":                "ssh://nas",
		"ssh://nas/var/run/docker.sock": "ssh://nas",
		"ssh://me@nas:02222/run//user/./podman.sock/": "ssh://me@nas:2222/run/user/podman.sock",
		"ssh://me@[FD00:0::1]":                        "ssh://me@[fd00::1]",
		"ssh://me@[::ffff:10.0.0.1]:22":               "ssh://me@10.0.0.1",
	} {
		if got := (Endpoint{Host: host}).canonical().Host; got != want {
			t.Errorf("%s is %s, want %s", host, got, want)
		}
		if err := ValidHost(host); err != nil {
			t.Error(err)
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got := (Endpoint{Host: "tcp://a:1", TLS: true, CACert: "ca.pem"}).canonical().CACert; got != filepath.Join(wd, "ca.pem") {
		t.Errorf("ca.pem is %s", got)
	}
	got := (Endpoint{Host: "ssh://a", SSHKeys: "/b/../id\nid", KnownHosts: "hosts"}).canonical()
	if want := (Endpoint{Host: "ssh://a", SSHKeys: "/id\n" + wd + "/id", KnownHosts: wd + "/hosts"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Whoever names the engine in another way, or wants another resync, has the same watcher, and it reconciles as often as
// the one who wants it most.
func TestOneWatcherForAllNames(t *testing.T) {
	e := enginetest.New(t)
	link := filepath.Join(t.TempDir(), "link.sock")
	if err := os.Symlink(strings.TrimPrefix(e.Host(), "unix://"), link); err != nil {
		t.Fatal(err)
	}
	w, r := watch(t, e, time.Hour)
	synced(t, r)
	for _, host := range []string{"unix://" + link, e.Host() + "/", strings.Replace(e.Host(), "unix:///", "unix:////", 1)} {
		if same := Watch(Endpoint{Host: host}, r); same != w {
			t.Errorf("%s has a watcher of its own", host)
		}
		w.Release()
	}
	eager := newRecorder()
	r.mu.Lock()
	before := r.rounds
	r.mu.Unlock()
	w.Subscribe(eager, 10*time.Millisecond)
	r.wait(t, "reconciliations as the second wants them", func() bool { return r.rounds > before+2 })
	w.Unsubscribe(eager)
	if got := w.leastResync(); got != time.Hour {
		t.Errorf("%s between two reconciliations after the second has gone", got)
	}
}

// Two watchers of one address, as in a reload that changes its TLS, are one engine to who looks.
func TestStates(t *testing.T) {
	e := enginetest.New(t, enginetest.WithTCP())
	e.Run(enginetest.Spec{Name: "web"})
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	bad := newRecorder()
	second := Watch(Endpoint{Host: e.Host(), TLS: true}, bad)
	defer second.Release()
	bad.wait(t, "the failure of TLS", func() bool { return len(bad.errors) > 0 })
	states := States()
	if s := states[second.Source()]; len(states) != 1 || !s.Connected || s.Containers != 1 || s.Reconciled.IsZero() {
		t.Errorf("states %+v", states)
	}
}

// The default is what the Docker CLI would use.
func TestDefault(t *testing.T) {
	home := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(home, ".docker", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	context := func(name, meta string) { write("contexts/meta/"+contextID(name)+"/meta.json", meta) }
	context("side", `{"Name":"side","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/side.sock","SkipTLSVerify":false}}}`)
	context("secure", `{"Name":"secure","Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2376"}}}`)
	context("lax", `{"Name":"lax","Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2376","SkipTLSVerify":true}}}`)
	context("ssh", `{"Name":"ssh","Endpoints":{"docker":{"Host":"ssh://me@host"}}}`)
	context("cluster", `{"Name":"cluster","Endpoints":{"kubernetes":{}}}`)
	context("broken", `{"Name":`)
	for _, file := range []string{"ca.pem", "cert.pem", "key.pem"} {
		write("contexts/tls/"+contextID("secure")+"/docker/"+file, "")
	}
	tls := filepath.Join(home, ".docker", "contexts", "tls", contextID("secure"), "docker")
	usual := Endpoint{Host: "unix:///var/run/docker.sock"}
	for _, c := range []struct {
		name   string
		env    []string
		config string // "": none
		want   Endpoint
		err    string
		warned string
	}{
		{name: "nothing", want: usual},
		{name: "an empty configuration", config: `{}`, want: usual},
		{name: "context default", config: `{"currentContext":"default"}`, want: usual},
		{name: "context", config: `{"auths":{},"currentContext":"side"}`, want: Endpoint{Host: "unix:///run/side.sock"}},
		{name: "DOCKER_CONTEXT", env: []string{"DOCKER_CONTEXT", "side"}, want: Endpoint{Host: "unix:///run/side.sock"}},
		{name: "DOCKER_CONTEXT default", env: []string{"DOCKER_CONTEXT", "default"}, config: `{"currentContext":"side"}`, want: usual},
		{name: "DOCKER_HOST comes first", env: []string{"DOCKER_CONTEXT", "side", "DOCKER_HOST", "tcp://h:1"}, config: `{"currentContext":"side"}`, want: Endpoint{Host: "tcp://h:1"}},
		{name: "DOCKER_HOST with TLS", env: []string{"DOCKER_HOST", "tcp://h:1", "DOCKER_CERT_PATH", "/c", "DOCKER_TLS_VERIFY", "1"},
			want: Endpoint{Host: "tcp://h:1", TLS: true, CACert: "/c/ca.pem", Cert: "/c/cert.pem", Key: "/c/key.pem"}},
		{name: "DOCKER_HOST with TLS, unverified", env: []string{"DOCKER_HOST", "tcp://h:1", "DOCKER_CERT_PATH", "/c"},
			want: Endpoint{Host: "tcp://h:1", TLS: true, SkipVerify: true, CACert: "/c/ca.pem", Cert: "/c/cert.pem", Key: "/c/key.pem"}},
		{name: "DOCKER_HOST with TLS, the usual certificates", env: []string{"DOCKER_HOST", "tcp://h:1", "DOCKER_TLS_VERIFY", "1", "DOCKER_CONFIG", "/c"},
			want: Endpoint{Host: "tcp://h:1", TLS: true, CACert: "/c/ca.pem", Cert: "/c/cert.pem", Key: "/c/key.pem"}},
		{name: "context with TLS", env: []string{"DOCKER_CONTEXT", "secure"},
			want: Endpoint{Host: "tcp://10.0.0.1:2376", TLS: true, CACert: tls + "/ca.pem", Cert: tls + "/cert.pem", Key: tls + "/key.pem"}},
		{name: "context without verification", env: []string{"DOCKER_CONTEXT", "lax"}, want: Endpoint{Host: "tcp://10.0.0.1:2376", TLS: true, SkipVerify: true}},
		{name: "context by SSH", env: []string{"DOCKER_CONTEXT", "ssh"}, want: Endpoint{Host: "ssh://me@host"}},
		{name: "DOCKER_HOST by SSH", env: []string{"DOCKER_HOST", "ssh://me@host:2222"}, want: Endpoint{Host: "ssh://me@host:2222"}},
		{name: "DOCKER_CONFIG", env: []string{"DOCKER_CONFIG", "/nonexistent"}, config: `{"currentContext":"side"}`, want: usual},

		{name: "unknown context", env: []string{"DOCKER_CONTEXT", "none"}, err: "the Docker context 'none', which DOCKER_CONTEXT names: there is no such context"},
		{name: "unknown current context", config: `{"currentContext":"none"}`, err: "config.json names: there is no such context"},
		{name: "context of another kind", env: []string{"DOCKER_CONTEXT", "cluster"}, err: "no endpoint of a Docker Engine"},
		{name: "broken context", env: []string{"DOCKER_CONTEXT", "broken"}, err: "meta.json: unexpected EOF"},
		{name: "odd DOCKER_HOST", env: []string{"DOCKER_HOST", "here"}, err: "DOCKER_HOST: 'here' is not an endpoint"},
		{name: "broken configuration", config: `{`, want: usual, warned: "config.json: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, key := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"} {
				t.Setenv(key, "")
			}
			t.Setenv("HOME", home)
			for i := 0; i < len(c.env); i += 2 {
				t.Setenv(c.env[i], c.env[i+1])
			}
			if c.config != "" {
				write("config.json", c.config)
				defer os.Remove(filepath.Join(home, ".docker", "config.json"))
			}
			warned := errors.New("")
			got, err := Default(func(err error) { warned = err })
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want || !strings.Contains(warned.Error(), c.warned) || (warned.Error() == "") != (c.warned == "") {
				t.Errorf("%+v, %v, warned %q; want %+v, %q", got, err, warned, c.want, c.warned)
			}
		})
	}
}
