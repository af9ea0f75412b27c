// Package status tells people what the server knows of their containers, and why a name has the answer that it has: as text for
// a terminal, as HTML for a browser and as JSON for programs.
//
// It makes sentences of the reasons that the other rooms give, and knows no rule of its own.
package status

import (
	"iter"
	"time"

	"github.com/miekg/dns"

	"github.com/dockerdiscovery/dockerdiscovery/internal/catalog"
	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/zone"
)

// Block is a docker block of the server. Its methods may be called from any goroutine, and see what is so at the moment.
type Block interface {
	// Info tells what the block is.
	Info() Info
	// Explain says why the name has the answer that it has. Errors are the asker's: they say what of the question is wrong.
	Explain(Question) (*Explanation, error)
	// Names yields the owner names with what answers there for who asks from there, as Question.From has it, by zone and name.
	Names(from string) (iter.Seq[Name], error)
	// Containers yields what is known of all containers, by host and name.
	Containers() iter.Seq[catalog.Explanation]
	// Container returns what is known of one container, and whether anything is.
	Container(zone.Key) (catalog.Explanation, bool)
	// Hosts are the hosts whose containers the block knows, as the Corefile orders them.
	Hosts() []Host
	// ZoneRecords yields the zone's records as the Docker host sees them, the SOA first; nil if the zone is none of the block's.
	ZoneRecords(apex string) iter.Seq[dns.RR]
	// Changes returns what has changed after the change of that number.
	Changes(since uint64) catalog.Changes
}

// Info is what a block is.
type Info struct {
	Key      string   `json:"block"`    // what the Corefile calls the server block: its first key, as in ".:53"
	Zones    []string `json:"zones"`    // absolute names in lower case
	Listen   []string `json:"listen"`   // where the server is asked: TRANSPORT://ADDRESS:PORT
	Warnings []string `json:"warnings"` // what is likely to be wrong with the Corefile, as the log has it
}

// Question is a question of DNS, by whom it is asked, and which block is to answer it.
type Question struct {
	Name string // as somebody types it: the last dot may be missing
	Type uint16
	// From is who asks: an address, a container's name or ID, a host's NAME, "host" for the Docker host, which "" stands for too,
	// or "lan" for who is elsewhere.
	From string
}

// Name is what answers at one owner name, as one asker gets it.
type Name struct {
	Zone    string   `json:"zone"`
	Name    string   `json:"name"`
	Owners  []string `json:"owners"`  // the containers' or hosts' names
	Records []string `json:"records"` // in the form of zone files, without the owner name
}

// Host is one whose containers are known.
type Host struct {
	ID         container.HostID `json:"host"`
	Named      bool             `json:"named"`           // in the Corefile
	Swarm      bool             `json:"swarm,omitempty"` // it stands for a Swarm, whose managers tell of its services
	Fleet      bool             `json:"fleet,omitempty"` // it stands for the hosts of which etcd has not told yet
	Endpoint   string           `json:"endpoint"`
	Engine     string           `json:"engine,omitempty"` // its name and version, once it has told
	Connected  bool             `json:"connected"`
	Synced     bool             `json:"synced"` // all of its containers have been known once
	State      string           `json:"state"`  // current, away, unsynced, overdue, forgotten or aside
	Since      time.Time        `json:"since"`  // it has been so
	Reconciled time.Time        `json:"reconciled,omitzero"`
	LastError  string           `json:"last_error,omitempty"`
	ErrorAt    time.Time        `json:"last_error_at,omitzero"`
	Cure       string           `json:"cure,omitempty"`        // what to do about the error
	Lag        float64          `json:"lag_seconds,omitempty"` // of the last change: from the engine's to ours
	Containers int              `json:"containers"`
}
