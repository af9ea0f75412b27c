package status

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// policy lets a page load nothing but what comes from this server, and nobody show it inside of his.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// secure sets what browsers are told of each answer. There is no field that lets other sites' scripts read it.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// refusal says why the request is not to be answered at all, nil if it is.
func (s *Server) refusal(r *http.Request) *problem {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return problemf(http.StatusMethodNotAllowed, "Nothing can be changed here: want GET or HEAD")
	case !s.called(r.Host):
		name := clip(hostOf(r.Host))
		return problemf(http.StatusMisdirectedRequest, "This server is not known as '%s'. If it is to be, write the name after the address in the Corefile, as in 'status localhost:9180 %s'", inLine(name), inLine(name))
	case !sameSite(r):
		return problemf(http.StatusForbidden, "Other sites' pages can't read this")
	}
	return nil
}

// called reports whether the server may be asked by the field Host: by an address, as localhost, or by a name that the Corefile
// gives it. A site that has its own name lead here (DNS rebinding) could read all otherwise, from a browser on this machine.
func (s *Server) called(host string) bool {
	name := hostOf(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.TrimSuffix(name, ".")
	same := func(known string) bool { return strings.EqualFold(name, strings.TrimSuffix(known, ".")) }
	return same("localhost") || slices.ContainsFunc(s.names(), same)
}

// hostOf returns the field Host without port and brackets.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// sameSite reports whether the request is no other site's. That may lead people here, and no more: its scripts, pictures and
// frames get nothing. Programs that are no browser say nothing of sites.
func sameSite(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
