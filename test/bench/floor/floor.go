// Package floor is a plugin that answers every query with one ready-made message: what CoreDNS costs
// with a plugin that does nothing.
//
//	floor RCODE RECORD
//
// The record is the message's only one: an answer if the rcode is NOERROR, else the authority.
package floor

import (
	"context"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

const name = "floor"

func init() { plugin.Register(name, setup) }

type floor struct{ message dns.Msg }

func setup(c *caddy.Controller) error {
	c.Next()
	args := c.RemainingArgs()
	if len(args) != 2 {
		return plugin.Error(name, c.ArgErr())
	}
	rcode, ok := dns.StringToRcode[args[0]]
	if !ok {
		return plugin.Error(name, c.Errf("'%s' is not an rcode", args[0]))
	}
	record, err := dns.NewRR(args[1])
	if err != nil {
		return plugin.Error(name, c.Err(err.Error()))
	}
	f := floor{dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true, Rcode: rcode}}}
	if rcode == dns.RcodeSuccess {
		f.message.Answer = []dns.RR{record}
	} else {
		f.message.Ns = []dns.RR{record}
	}
	dnsserver.GetConfig(c).AddPlugin(func(plugin.Handler) plugin.Handler { return &f })
	return nil
}

// Name implements plugin.Handler.
func (*floor) Name() string { return name }

// ServeDNS implements plugin.Handler. The message is of this query only in what an asker checks.
func (f *floor) ServeDNS(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	m := f.message
	m.Id, m.RecursionDesired, m.Question = r.Id, r.RecursionDesired, r.Question
	return dns.RcodeSuccess, w.WriteMsg(&m)
}
