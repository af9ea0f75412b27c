package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// packer packs messages, as the server's writer does after us.
type packer struct{ test.ResponseWriter }

func (p *packer) WriteMsg(m *dns.Msg) error {
	_, err := m.Pack()
	return err
}

// BenchmarkPlugin compares the docker plugin with CoreDNS's hosts, which has the same names, and with the
// floor. They are called as the server calls them, and answer to a writer that drops the message, or packs
// it first. hosts writes no message for a missing name, but has the server write SERVFAIL.
func BenchmarkPlugin(b *testing.B) {
	const names = 300
	e := enginetest.New(b)
	if err := e.RunHere(); err != nil {
		b.Fatal(err)
	}
	e.AddNetwork(networkName(0), "10.0.0.0/16")
	e.Populate(names, spec)
	hosts := filepath.Join(b.TempDir(), "hosts")
	if err := os.WriteFile(hosts, hostsFile(names), 0o644); err != nil {
		b.Fatal(err)
	}
	for _, s := range []struct{ name, lines string }{
		{"hosts", "hosts " + hosts + " docker.\n"},
		{"docker", fmt.Sprintf("docker docker. {\nendpoint %s\n}\n", e.Host())},
		{"floor", fmt.Sprintf("floor NOERROR %q\n", hostRecord(0))},
	} {
		h, server, err := inProcess(s.lines)
		if err != nil {
			b.Fatal(err)
		}
		for _, q := range []struct {
			name string
			of   func(int) question
		}{{"hit", existing}, {"miss", missing}} {
			for _, w := range []struct {
				name   string
				writer dns.ResponseWriter
			}{{"no", &test.ResponseWriter{RemoteIP: "127.0.0.1"}}, {"yes", &packer{test.ResponseWriter{RemoteIP: "127.0.0.1"}}}} {
				b.Run(fmt.Sprintf("query=%s/packed=%s/plugin=%s", q.name, w.name, s.name), func(b *testing.B) {
					requests := make([]*dns.Msg, names)
					for i := range requests {
						requests[i] = new(dns.Msg).SetQuestion(q.of(i).name, dns.TypeA)
					}
					ctx := context.Background()
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if _, err := h.ServeDNS(ctx, w.writer, requests[i%names]); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
		if err := server.Stop(); err != nil {
			b.Fatal(err)
		}
	}
}
