package enginetest

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/docker/docker/api/types/versions"
)

// Flavour is the engine that is imitated: the order and attributes of its events, its implicit aliases, its fields.
type Flavour int

// The flavours, each after the recordings in testdata.
const (
	Docker2010 Flavour = iota // Docker Engine 20.10: short id and hostname are among the aliases
	Docker28                  // Docker Engine 28: implicit names in DNSNames only
	Podman                    // Podman 5.4's Docker-compatible service
)

func (f Flavour) String() string { return f.about().name }

// bridge is the name under which containers see the default network.
func (f Flavour) bridge() string {
	if f == Podman {
		return "podman"
	}
	return "bridge"
}

type about struct {
	name, version, api, minAPI, server, os, subnet string
	logDrivers                                     []string
	ping                                           map[string]string
}

func (f Flavour) about() about {
	return [...]about{
		Docker2010: {
			name: "20.10", version: "20.10.24", api: "1.41", minAPI: "1.12", server: "Docker/20.10.24 (linux)",
			os: "Debian GNU/Linux 12 (bookworm)", subnet: "172.17.0.0/16", logDrivers: []string{"journald", "json-file", "local"},
		},
		Docker28: {
			name: "28.5", version: "28.5.2", api: "1.51", minAPI: "1.24", server: "Docker/28.5.2 (linux)",
			os: "Debian GNU/Linux 13 (trixie)", subnet: "172.17.0.0/16", logDrivers: []string{"journald", "json-file", "local"},
			ping: map[string]string{"Builder-Version": "2", "Swarm": "inactive"},
		},
		Podman: {
			name: "podman-5.4", version: "5.4.2", api: "1.41", minAPI: "1.24", server: "Libpod/5.4.2 (linux)",
			os: "debian", subnet: "10.88.0.0/16", logDrivers: []string{"k8s-file", "none", "passthrough", "journald"},
			ping: map[string]string{"Libpod-Api-Version": "5.4.2", "Docker-Experimental": "true"},
		},
	}[f]
}

func (f Flavour) pingHeaders() map[string]string {
	a := f.about()
	headers := map[string]string{
		"Api-Version":         a.api,
		"Ostype":              "linux",
		"Docker-Experimental": "false",
		"Server":              a.server,
		"Cache-Control":       "no-cache, no-store, must-revalidate",
		"Pragma":              "no-cache",
	}
	for k, v := range a.ping {
		headers[k] = v
	}
	return headers
}

// refuses says why a request for an API version is not served; "" if it is.
func (f Flavour) refuses(version string) string {
	a := f.about()
	switch {
	case version == "" || f == Podman: // which takes any
		return ""
	case versions.GreaterThan(version, a.api):
		return fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", version, a.api)
	case versions.LessThan(version, a.minAPI):
		return fmt.Sprintf("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", version, a.minAPI)
	}
	return ""
}

func (e *Engine) versionAnswer() map[string]any {
	a := e.flavour.about()
	component := "Engine"
	if e.flavour == Podman {
		component = "Podman Engine"
	}
	return map[string]any{
		"Platform": map[string]any{"Name": ""},
		"Components": []map[string]any{{
			"Name": component, "Version": a.version, "Details": map[string]string{"ApiVersion": a.api, "MinAPIVersion": a.minAPI, "Os": "linux"},
		}},
		"Version": a.version, "ApiVersion": a.api, "MinAPIVersion": a.minAPI,
		"GitCommit": "", "GoVersion": runtime.Version(), "Os": "linux", "Arch": runtime.GOARCH, "KernelVersion": "6.1.0", "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
	}
}

func (e *Engine) infoAnswer() map[string]any {
	a := e.flavour.about()
	id := e.hexID("engine", 0)
	info := map[string]any{
		"ID": strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:32]}, "-"),
		// as on a host called so
		"Name": engineHostname, "ServerVersion": a.version, "OperatingSystem": a.os, "OSType": "linux", "Architecture": "x86_64",
		"SystemTime":      e.now().UTC().Format(timeFormat),
		"SecurityOptions": []string{"name=seccomp,profile=default"},
		"Swarm":           e.swarmInfo(),
		"Plugins":         map[string]any{"Network": []string{"bridge", "macvlan", "ipvlan"}, "Log": a.logDrivers},
	}
	if e.info != nil {
		e.info(info)
	}
	return info
}
