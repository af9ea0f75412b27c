package enginetest

import (
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
)

// The answers have the fields that the recordings have, null, empty or missing as there; those that nobody here asks for
// are left out.

type endpointJSON struct {
	IPAMConfig          map[string]string
	Links               []string
	Aliases             []string
	MacAddress          string
	DriverOpts          map[string]string
	GwPriority          *int `json:",omitempty"` // a pointer: the field is there or not, by flavour
	NetworkID           string
	EndpointID          string
	Gateway             string
	IPAddress           string
	IPPrefixLen         int
	IPv6Gateway         string
	GlobalIPv6Address   string
	GlobalIPv6PrefixLen int
	DNSNames            *[]string `json:",omitempty"`
}

type networkSettingsJSON struct {
	Bridge     string
	SandboxID  string
	SandboxKey string
	Ports      nat.PortMap
	EndpointID string
	Gateway    string
	IPAddress  string
	MacAddress string
	Networks   map[string]endpointJSON
}

type stateJSON struct {
	Status     container.ContainerState
	Running    bool
	Paused     bool
	Restarting bool
	OOMKilled  bool
	Dead       bool
	Pid        int
	ExitCode   int
	Error      string
	StartedAt  string
	FinishedAt string
	Health     *healthJSON `json:",omitempty"`
}

type healthJSON struct {
	Status        string
	FailingStreak int
	Log           []string
}

type configJSON struct {
	Hostname     string
	Domainname   string
	User         string
	Tty          bool
	ExposedPorts nat.PortSet `json:",omitempty"`
	Env          []string
	Cmd          []string
	Healthcheck  *struct{ Test []string } `json:",omitempty"`
	Image        string
	Volumes      map[string]struct{}
	WorkingDir   string
	Entrypoint   []string
	Labels       map[string]string
	StopSignal   string `json:",omitempty"`
	StopTimeout  *int   `json:",omitempty"`
}

type hostConfigJSON struct {
	NetworkMode  string            `json:",omitempty"`
	PortBindings nat.PortMap       `json:",omitempty"`
	Sysctls      map[string]string `json:",omitempty"`
	DNSSearch    []string          `json:"DnsSearch,omitempty"`
}

type inspectJSON struct {
	ID              string `json:"Id"`
	Created         string
	Path            string
	Args            []string
	State           stateJSON
	Image           string
	Name            string
	RestartCount    int
	Driver          string
	Platform        string
	HostConfig      hostConfigJSON
	Mounts          []string
	Config          configJSON
	NetworkSettings networkSettingsJSON
}

type listJSON struct {
	ID              string `json:"Id"`
	Names           []string
	Image           string
	ImageID         string
	Command         string
	Created         int64
	Ports           []portJSON
	Labels          map[string]string
	State           container.ContainerState
	Status          string
	HostConfig      *hostConfigJSON `json:",omitempty"`
	NetworkSettings struct{ Networks map[string]endpointJSON }
	Mounts          []string
}

type portJSON struct {
	IP          string `json:",omitempty"`
	PrivatePort uint16
	PublicPort  uint16 `json:",omitempty"`
	Type        string
}

type networkJSON struct {
	Name       string
	ID         string `json:"Id"`
	Created    time.Time
	Scope      string
	Driver     string
	EnableIPv4 *bool `json:",omitempty"` // as from 28 on
	EnableIPv6 bool
	IPAM       ipamJSON
	Internal   bool
	Attachable bool
	Ingress    bool
	ConfigFrom struct{ Network string }
	ConfigOnly bool
	Containers map[string]memberJSON
	Options    map[string]string
	Labels     map[string]string
}

type libpodNetworkJSON struct {
	Name     string            `json:"name"`
	ID       string            `json:"id"`
	Driver   string            `json:"driver"`
	Internal bool              `json:"internal"`
	Options  map[string]string `json:"options"`
}

type ipamJSON struct {
	Driver  string
	Options map[string]string
	Config  []subnetJSON
}

type subnetJSON struct {
	Subnet  string
	Gateway string `json:",omitempty"`
}

type memberJSON struct {
	Name        string
	EndpointID  string
	MacAddress  string
	IPv4Address string
	IPv6Address string
}
