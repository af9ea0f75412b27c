package resolver

import (
	"fmt"
	"strings"
)

// A zone with ~ is one to ask for, and none in which to search for short names.
func routes(t Target) string { return "~" + strings.Join(t.labels(), " ~") }

// delegate is systemd.dns-delegate(5)'s form: other names never go to the server.
func delegate(t Target) map[string]string {
	return map[string]string{"etc/systemd/dns-delegate.d/dockerdiscovery.dns-delegate": fmt.Sprintf("[Delegate]\nDNS=%s\nDomains=%s\n", t.Server, routes(t))}
}

// dropIn is resolved.conf(5)'s form.
func dropIn(t Target) map[string]string {
	return map[string]string{"etc/systemd/resolved.conf.d/dockerdiscovery.conf": fmt.Sprintf("[Resolve]\nDNS=%s\nDomains=%s\n", t.Server, routes(t))}
}

// dnsmasqIn has dnsmasq's form. With stop-dns-rebind it drops answers with private addresses, but for the zones named.
func dnsmasqIn(path string) func(Target) map[string]string {
	return func(t Target) map[string]string {
		zones := "/" + strings.Join(t.labels(), "/") + "/"
		return map[string]string{path: fmt.Sprintf("server=%s%s#%d\nrebind-domain-ok=%s\n", zones, t.Server.Addr(), t.Server.Port(), zones)}
	}
}

// perZone is the form of macOS's resolver(5): a file is called as its zone.
func perZone(t Target) map[string]string {
	files := map[string]string{}
	for _, z := range t.labels() {
		files["etc/resolver/"+z] = fmt.Sprintf("nameserver %s\nport %d\n", t.Server.Addr(), t.Server.Port())
	}
	return files
}

func noSplit(t Target) string {
	return fmt.Sprintf(`resolv.conf names servers for all names: it can't have one asked for %s alone. Either
- have systemd-resolved or dnsmasq as this machine's resolver, and run this again,
- have another resolver that you run, here or in the LAN, ask %s for it, or
- have the server answer for all names: a server block for . at port 53 with a forward to the present resolver, and its address as nameserver in /etc/resolv.conf`,
		strings.Join(t.labels(), ", "), t.Server)
}

// policyTable is for PowerShell. A leading dot stands for the zone and all below it.
func policyTable(t Target) string {
	if t.Server.Port() != 53 {
		return fmt.Sprintf("Windows asks at port 53 alone: serve the zone there, and name that address with --server in place of %s", t.Server)
	}
	return fmt.Sprintf(`as administrator, in PowerShell:
Add-DnsClientNrptRule -Namespace ".%s" -NameServers "%s" -Comment dockerdiscovery
and to undo it
`+policyUndo, strings.Join(t.labels(), `", ".`), t.Server.Addr())
}

const policyUndo = `Get-DnsClientNrptRule | Where-Object Comment -eq dockerdiscovery | Remove-DnsClientNrptRule -Force`
