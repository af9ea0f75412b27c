package dialect

import (
	"fmt"
	"strconv"
	"strings"
)

// The labels of dokku/coredns-docker.
const (
	dokkuPrefix   = "com.dokku.coredns-docker/"
	dokkuHostname = dokkuPrefix + "hostname"
	dokkuWildcard = dokkuPrefix + "wildcard"
	dokkuCNAME    = dokkuPrefix + "cname"
	dokkuTXT      = dokkuPrefix + "txt"
	dokkuSRV      = dokkuPrefix + "srv"
)

var dokkuKeys = []string{dokkuHostname, dokkuWildcard, dokkuCNAME, dokkuTXT, dokkuTXT + ".*", dokkuSRV + "._*._*"}

// readDokku reads names, which lie in each zone, and what all of the container's names have besides.
func readDokku(r *reading) {
	for _, l := range r.labels {
		key := strings.ToLower(l.key)
		switch {
		case key == dokkuHostname:
			for _, name := range list(l.value) {
				r.add(Name{Text: name})
			}
		case key == dokkuWildcard:
			if strings.TrimSpace(l.value) == "true" {
				r.set("wildcard", "true")
			}
		case key == dokkuCNAME:
			if target := strings.TrimSpace(l.value); target != "" {
				r.set("cname", strings.TrimSuffix(target, ".")+".")
			}
		case key == dokkuTXT:
			r.record("@ TXT " + quoted(l.value))
		case strings.HasPrefix(key, dokkuTXT+"."):
			r.record(key[len(dokkuTXT)+1:] + " TXT " + quoted(l.value))
		default:
			r.readSRV(key, l)
		}
	}
	if r.Settings["cname"] != "" { // beside which a name has nothing
		r.Records = nil
	}
}

// readSRV reads srv._PROTO._SERVICE=PORT.
func (r *reading) readSRV(key string, l label) {
	proto, service, _ := strings.Cut(key[len(dokkuSRV)+1:], ".")
	port, err := strconv.ParseUint(strings.TrimSpace(l.value), 10, 16)
	if err != nil {
		r.refuse(l.key, l.value, "want the number of a port")
		return
	}
	r.record(fmt.Sprintf("%s.%s SRV 10 10 %d @", service, proto, port))
}

// quoted writes a text as the strings of a TXT record, each of which has 255 octets at most. One that begins with a quote is
// written so already.
func quoted(text string) string {
	if strings.HasPrefix(text, `"`) {
		return strings.NewReplacer("\n", " ", "\r", " ").Replace(text)
	}
	const most = 255
	var b strings.Builder
	for first := true; first || text != ""; first = false {
		part := text[:min(len(text), most)]
		text = text[len(part):]
		if !first {
			b.WriteByte(' ')
		}
		b.WriteByte('"')
		for _, c := range []byte(part) {
			switch {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, "\\%03d", c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}
