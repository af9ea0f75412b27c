package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/bind" // a directive of the Corefile below
	_ "github.com/coredns/coredns/plugin/hosts"

	_ "github.com/dockerdiscovery/dockerdiscovery/plugin/dockerdiscovery"
	_ "github.com/dockerdiscovery/dockerdiscovery/test/bench/floor"
)

// capture is a directive that takes hold of the plugin below it.
const capture = "capture"

var captured plugin.Handler // by the last start

func init() {
	dnsserver.Directives = slices.Insert(slices.Clone(dnsserver.Directives), slices.Index(dnsserver.Directives, "cache"), capture, "docker", "floor")
	dnsserver.Quiet = true
	plugin.Register(capture, func(c *caddy.Controller) error {
		dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
			captured = next
			return next
		})
		return nil
	})
}

// inProcess starts a CoreDNS in this process, for its plugin to be called directly.
func inProcess(lines string) (plugin.Handler, *caddy.Instance, error) {
	captured = nil
	corefile := fmt.Sprintf(".:0 {\n\tbind 127.0.0.1\n\t%s\n%s}\n", capture, lines)
	i, err := caddy.Start(caddy.CaddyfileInput{Contents: []byte(corefile), Filepath: "Corefile", ServerTypeName: "dns"})
	if err != nil {
		return nil, nil, err
	}
	if captured == nil {
		return nil, nil, errors.New("the Corefile has no plugin")
	}
	return captured, i, nil
}

// stopInProcess ends what inProcess started.
func stopInProcess(i *caddy.Instance) error {
	return errors.Join(append(i.ShutdownCallbacks(), i.Stop())...)
}
