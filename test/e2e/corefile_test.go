package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A wrong Corefile ends coredns at once, with the file, the line and what is accepted.
func TestWrongCorefile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, docker string
		line         int
		want         string // the accepted form
	}{
		{"unknown property", "docker {\n colour blue\n}", 3, "want one of addresses, catalog_zone, endpoint, "},
		{"ttl not a number", "docker {\n ttl soon\n}", 3, "ttl SECONDS [NEGATIVE_SECONDS]"},
		{"ttl too large", "docker {\n ttl 4294967296\n}", 3, "ttl SECONDS [NEGATIVE_SECONDS]"},
		{"ttl with extra argument", "docker {\n ttl 5 5 5\n}", 3, "ttl SECONDS [NEGATIVE_SECONDS]"},
		{"zone", "docker a..b", 2, "want a domain name or a CIDR"},
		{"endpoint scheme", "docker {\n endpoint gopher://h\n}", 3, "endpoint URL [NAME [ADDRESS...]], with URL unix:///PATH|tcp://HOST:PORT|ssh://"},
		{"endpoint missing", "docker {\n endpoint\n}", 3, "endpoint URL [NAME [ADDRESS...]], with URL unix:///PATH|tcp://HOST:PORT|ssh://"},
		{"endpoint with a bad address", "docker {\n endpoint unix:///a b c\n}", 3, "endpoint URL [NAME [ADDRESS...]], with URL unix:///PATH|tcp://HOST:PORT|ssh://"},
		{"names unknown", "docker {\n names nickname\n}", 3, "names SOURCE..."},
		{"names doubled", "docker {\n names id\n names id\n}", 4, "names SOURCE..."},
		{"tls without its file", "docker {\n tls none.pem\n}", 3, "tls [CERT KEY] [CACERT]"},
		{"ttl twice", "docker {\n ttl 5\n ttl 6\n}", 4, "ttl SECONDS [NEGATIVE_SECONDS]"},
		{"endpoint as a zone", "docker unix:///run/docker.sock", 2, "write endpoint in the block: 'endpoint URL [NAME [ADDRESS...]]"},
		{"resync", "docker {\n resync often\n}", 3, "resync DURATION"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := fmt.Sprintf("docker.:%d {\n%s\n}\n", freePort(t, "127.0.0.1"), test.docker)
			output, corefile := refused(t, config{Text: text})
			for _, want := range []string{fmt.Sprintf("%s:%d", corefile, test.line), test.want} {
				if !strings.Contains(output, want) {
					t.Errorf("no %q in: %s", want, output)
				}
			}
		})
	}
}
