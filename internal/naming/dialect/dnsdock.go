package dialect

import "strings"

// dnsdock's labels. Any container has the names that its name and image give there, so that these make other names of them.
const dnsdockPrefix = "com.dnsdock."

var dnsdockKeys = []string{
	dnsdockPrefix + "alias", dnsdockPrefix + "name", dnsdockPrefix + "tags", dnsdockPrefix + "image", dnsdockPrefix + "region",
	dnsdockPrefix + "ttl", dnsdockPrefix + "ignore", dnsdockPrefix + "ip_addr", dnsdockPrefix + "prefix",
}

// readDnsdock reads <name>.<image>.<region>, which lies in each zone, and whole names. With tags, as registrator has them, the first
// tag stands for the name, and the name for the image.
func readDnsdock(r *reading) {
	parts := map[string]string{"name": r.Name, "image": r.Image}
	given := map[string]bool{}
	for _, l := range r.labels {
		key, value := strings.ToLower(l.key)[len(dnsdockPrefix):], strings.TrimSpace(l.value)
		parts[key], given[key] = value, true
		switch key {
		case "alias":
			for _, alias := range list(value) {
				r.add(Name{Text: alias, Whole: true})
			}
		case "ttl":
			r.set("ttl", value)
		case "ignore":
			r.set("enable", "false")
		case "ip_addr":
			r.set("address", value)
		case "prefix":
			r.set("prefix", value)
		}
	}
	if given["tags"] {
		if given["name"] && !given["image"] {
			parts["image"] = parts["name"]
		}
		parts["name"], _, _ = strings.Cut(parts["tags"], ",")
	}
	image := parts["image"]
	if image == "" {
		return
	}
	if region := parts["region"]; region != "" {
		image += "." + region
	}
	r.add(Name{Text: image})
	if name := strings.TrimSpace(parts["name"]); name != "" {
		r.add(Name{Text: name + "." + image})
	}
}
