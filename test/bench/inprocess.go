package main

import (
	"errors"
	"fmt"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/bind" // a directive of the Corefile below
	_ "github.com/coredns/coredns/plugin/hosts"

	_ "github.com/dockerdiscovery/dockerdiscovery/plugin/dockerdiscovery"
	_ "github.com/dockerdiscovery/dockerdiscovery/test/bench/floor"
	"github.com/dockerdiscovery/dockerdiscovery/test/inprocess"
)

// capture is a directive that takes hold of the plugin below it.
const capture = "capture"

var captured plugin.Handler // by the last start

func init() {
	inprocess.Use(capture, "docker", "floor")
	plugin.Register(capture, func(c *caddy.Controller) error {
		dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
			captured = next
			return next
		})
		return nil
	})
}

// inProcess starts a CoreDNS in this process, for its plugin to be called directly.
func inProcess(lines string) (plugin.Handler, *inprocess.Server, error) {
	captured = nil
	s, err := inprocess.Start(fmt.Sprintf(".:0 {\n\tbind 127.0.0.1\n\t%s\n%s}\n", capture, lines))
	if err != nil {
		return nil, nil, err
	}
	if captured == nil {
		return nil, nil, errors.Join(errors.New("the Corefile has no plugin"), s.Stop())
	}
	return captured, s, nil
}
