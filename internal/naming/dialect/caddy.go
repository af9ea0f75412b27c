package dialect

import (
	"net/netip"
	"strings"
	"unicode"
)

// readCaddy reads the site addresses: each label whose key is caddy, or that with a number, begins a block of the Caddyfile.
func readCaddy(r *reading) {
	for _, l := range r.labels {
		if number, ok := strings.CutPrefix(strings.ToLower(l.key), "caddy_"); ok && strings.Trim(number, "0123456789") != "" {
			continue // another directive
		}
		for address := range strings.FieldsFuncSeq(l.value, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }) {
			address = strings.Trim(address, "\"`")
			switch {
			case strings.HasPrefix(address, "("): // the name of a snippet
			case strings.ContainsAny(address, "{}"):
				r.refuse("site address", address, "what its placeholder stands for is known to Caddy alone")
			default:
				r.add(Name{Text: siteHost(address), Whole: true, Proxied: true})
			}
		}
	}
}

// siteHost returns the name in a site address, "" if there is none.
func siteHost(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	address, _, _ = strings.Cut(address, "/")
	address, _, _ = strings.Cut(address, ":")
	if _, err := netip.ParseAddr(address); err == nil || address == "*" || strings.HasPrefix(address, "[") {
		return ""
	}
	return strings.TrimSuffix(address, ".")
}
