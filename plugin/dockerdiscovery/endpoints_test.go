package dockerdiscovery

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin/test"

	"github.com/dockerdiscovery/dockerdiscovery/internal/engine"
)

// TestParseEndpoints checks several endpoints, with names, addresses and blocks of their own.
func TestParseEndpoints(t *testing.T) {
	dir, err := test.WritePEMFiles(t)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"id": key, "other": key, "hosts": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := caddy.NewTestController("dns", `docker docker. nas.lan. {
    publish
    endpoint unix:///run/docker.sock
    endpoint tcp://192.0.2.1:2376 NAS 192.0.2.1 2001:db8::1
    endpoint tcp://192.0.2.2:2376 tower {
        tls cert.pem key.pem
    }
    endpoint ssh://me@pi {
        ssh_key key.pem id
        known_hosts hosts
        ssh_key other
    }
    endpoint ssh://x y { }
    tls ca.pem
    isolate
}`)
	dnsserver.GetConfig(c).Root = dir
	cfg, err := parse(c)
	if err != nil {
		t.Fatal(err)
	}
	at := func(files ...string) string {
		for i := range files {
			files[i] = filepath.Join(dir, files[i])
		}
		return strings.Join(files, "\n")
	}
	want := []endpoint{
		{Endpoint: engine.Endpoint{Host: "unix:///run/docker.sock"}, at: "Testfile:3"},
		{engine.Endpoint{Host: "tcp://192.0.2.1:2376", TLS: true, CACert: at("ca.pem")}, "nas", []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, "Testfile:4"},
		{engine.Endpoint{Host: "tcp://192.0.2.2:2376", TLS: true, Cert: at("cert.pem"), Key: at("key.pem")}, "tower", nil, "Testfile:5"},
		{engine.Endpoint{Host: "ssh://me@pi", SSHKeys: at("key.pem", "id", "other"), KnownHosts: at("hosts")}, "", nil, "Testfile:8"},
		{engine.Endpoint{Host: "ssh://x"}, "y", nil, "Testfile:13"},
	}
	if !reflect.DeepEqual(cfg.endpoints, want) || !cfg.zone.Isolate {
		t.Errorf("%+v, want\n%+v", cfg.endpoints, want)
	}
}

// TestEndpointsOfBlocks checks that a Corefile calls an engine by one NAME, and one engine by it.
func TestEndpointsOfBlocks(t *testing.T) {
	for _, c := range []struct{ first, second, want string }{
		{"unix:///a", "unix:///a", ""},
		{"unix:///a nas", "unix:///a nas", ""},
		{"unix:///a nas", "unix:///a", ""},
		{"unix:///a", "unix:///b nas", ""},
		{"unix:///a nas", "unix:///a tower", "Testfile:2: 'unix:///a' is called tower, and nas at Testfile:2; want one NAME for each engine"},
		{"unix:///a nas", "unix:///b NAS", "Testfile:2: another engine, 'unix:///a', is called nas at Testfile:2; want one NAME"},
	} {
		i := &instance{}
		var err error
		for _, e := range []string{c.first, c.second} {
			cfg, parseErr := parseText("docker docker. {\n endpoint "+e+"\n}", ".")
			if parseErr != nil {
				t.Fatal(parseErr)
			}
			err = i.add(&cfg)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s and %s: %v, want %q", c.first, c.second, err, c.want)
		}
	}
}

// TestEndpointErrors checks that an error says what is wrong, where, and what is accepted.
func TestEndpointErrors(t *testing.T) {
	for properties, want := range map[string][]string{
		"endpoint unix:///a unix:///b":                                {":3", "'unix:///b' is not a host's NAME", "endpoint URL [NAME [ADDRESS...]]"},
		"endpoint unix:///a\n endpoint unix:////a/ b":                 {":4", "'unix:////a/' is the engine at Testfile:3 already"},
		"endpoint ssh://h\n\n endpoint ssh://H:22/":                   {":5", "'ssh://H:22/' is the engine at Testfile:3 already"},
		"endpoint unix:///a NAS\n endpoint unix:///b nas":             {":4", "another engine, 'unix:///a', is called nas at Testfile:3"},
		"endpoint unix:///a na.s":                                     {":3", "'na.s' is not a host's NAME", "one label"},
		"endpoint unix:///a nas_1":                                    {":3", "'nas_1' is not a host's NAME", "one label"},
		"endpoint unix:///a -nas":                                     {":3", "'-nas' is not a host's NAME", "hyphens inside"},
		"endpoint unix:///a localhost":                                {":3", "'localhost' is not a host's NAME", "localhost.docker. is reserved"},
		"endpoint unix:///a dns":                                      {":3", "'dns' is not a host's NAME", "dns.docker. is reserved"},
		"endpoint unix:///a nas 0.0.0.0":                              {":3", "'0.0.0.0' is not an address", "endpoint URL [NAME [ADDRESS...]]"},
		"endpoint tcp://a:1 {\n tsl\n}":                               {":4", "unknown property 'tsl'", "known_hosts, ssh_key, tls"},
		"endpoint tcp://a:1 {\n tls\n tls\n}":                         {":5", "tls stands in line 4 already"},
		"endpoint tcp://a:1 {\n tls a b c d\n}":                       {":4", "tls has 4 arguments", "tls [CERT KEY] [CACERT]"},
		"endpoint tcp://a:1 {\n ssh_key setup.go\n}":                  {":4", "ssh_key is for endpoints ssh://, and not for 'tcp://a:1'; want 'ssh_key FILE...'"},
		"endpoint unix:///a {\n tls\n}":                               {":4", "tls is for endpoints tcp://, and not for 'unix:///a'", "tls [CERT KEY] [CACERT]"},
		"endpoint unix:///a {\n known_hosts setup.go\n}":              {":4", "known_hosts is for endpoints ssh://", "known_hosts FILE"},
		"endpoint ssh://a {\n tls\n}":                                 {":4", "tls is for endpoints tcp://"},
		"endpoint ssh://a {\n ssh_key\n}":                             {":4", "ssh_key has 0 arguments", "ssh_key FILE..."},
		"endpoint ssh://a {\n ssh_key none\n}":                        {":4", "none: no such file", "ssh_key FILE..."},
		"endpoint ssh://a {\n known_hosts none\n}":                    {":4", "none: no such file", "known_hosts FILE"},
		"endpoint ssh://a {\n ssh_key setup.go\n}":                    {":4", "setup.go is not a private key for SSH", "ssh_key FILE..."},
		"endpoint ssh://a {\n known_hosts setup.go\n}":                {":4", "setup.go:1: ", "known_hosts FILE"},
		"endpoint ssh://a {\n ssh_key setup.go setup.go\n}":           {":4", "'setup.go' stands there twice"},
		"isolate {\n ttl 5\n }":                                       {":3", "isolate has no block; want 'isolate'"},
		"publish 192.0.2.1\n endpoint unix:///a\n endpoint unix:///b": {":6", "publish in line 3 has an ADDRESS, which is that of one host", "'endpoint unix:///a nas 192.0.2.1'"},
		"publish 192.0.2.1\n endpoint unix:///a nas 192.0.2.2":        {":5", "publish in line 3 has an ADDRESS"},
	} {
		parseFails(t, "docker docker. {\n\n    "+properties+"\n}", want)
	}
}
