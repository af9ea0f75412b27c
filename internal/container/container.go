// Package container holds the facts about a container that decide its DNS records.
//
// It is the vocabulary between internal/engine, which fills the facts in from
// Docker's API, and internal/naming, which turns them into names. It knows neither
// Docker's types nor DNS.
package container

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Container is what the engine said last about one running container. A Container
// that has been handed on is never changed: a new state is a new Container.
type Container struct {
	ID         string // 64 hexadecimal digits
	Name       string // without the leading slash
	Hostname   string
	Domainname string
	Image      string // as given to run or create
	Created    time.Time
	Labels     map[string]string

	// NetworkMode is the engine's HostConfig.NetworkMode: the first network's name,
	// or "host", "none", "container:<id>", "default", "bridge".
	NetworkMode string
	Endpoints   []Endpoint // by network name

	Paused bool
	Health Health
}

// Endpoint is a container's connection to one network.
type Endpoint struct {
	ID        string
	Network   string // the network's name
	NetworkID string
	Aliases   []string     // as given by the user; some engines add the short ID
	Addrs     []netip.Addr // at most one IPv4 and one global IPv6 address, IPv4 first
}

// Health is the result of the image's or container's health check.
type Health uint8

// The states of a health check.
const (
	HealthNone Health = iota // no health check is configured
	HealthStarting
	Healthy
	Unhealthy
)

// ShortID returns the first 12 digits of the container's ID, as the Docker CLI prints it.
func (c *Container) ShortID() string { return c.ID[:min(len(c.ID), 12)] }

// Equal reports whether c and o would lead to the same records.
func (c *Container) Equal(o *Container) bool {
	return c.ID == o.ID && c.Name == o.Name && c.Hostname == o.Hostname && c.Domainname == o.Domainname &&
		c.Image == o.Image && c.Created.Equal(o.Created) && c.NetworkMode == o.NetworkMode &&
		c.Paused == o.Paused && c.Health == o.Health &&
		maps.Equal(c.Labels, o.Labels) &&
		slices.EqualFunc(c.Endpoints, o.Endpoints, func(a, b Endpoint) bool {
			return a.ID == b.ID && a.Network == b.Network && a.NetworkID == b.NetworkID &&
				slices.Equal(a.Aliases, b.Aliases) && slices.Equal(a.Addrs, b.Addrs)
		})
}
