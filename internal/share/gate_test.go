package share

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// TestGate has two of three ways to etcd say nothing: the third one is found at once, wherever it stands, and of the others nothing is left.
func TestGate(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	var urls []string
	var links []*link
	for range 3 {
		l := newLink(t, e.Members[0])
		links, urls = append(links, l), append(urls, l.url)
	}
	way := gate{cfg: &Config{URLs: strings.Join(urls, " "), Path: "/p"}}
	for i := range 12 {
		for j, l := range links {
			l.set(map[bool]linkState{true: carries, false: silent}[j == i%3])
		}
		ctx, cancel := context.WithTimeout(t.Context(), recovery)
		began := time.Now()
		client, err := way.connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > callTimeout {
			t.Errorf("found after %v", took)
		}
		if got := client.Endpoints(); len(got) != 1 || got[0] != urls[i%3] {
			t.Errorf("it leads to %v, want %s", got, urls[i%3])
		}
		client.Close()
		cancel()
	}
	for _, l := range links {
		l.set(carries)
	}
	await(t, patience, func() error {
		for _, l := range links {
			if n := l.count(); n > 0 {
				return fmt.Errorf("%s has %d connections", l.url, n)
			}
		}
		return nil
	})
}

// TestGateErrors has no member lead anywhere: the error says what is wrong with one, and not that another one says nothing.
func TestGateErrors(t *testing.T) {
	e := rig.NewEtcd(t, 1)
	dead, dumb := newLink(t, e.Members[0]), newLink(t, e.Members[0])
	dead.set(refuses)
	dumb.set(silent)
	way := gate{cfg: &Config{URLs: dead.url + " " + dumb.url, Path: "/p"}}
	for _, way.last = range []string{dead.url, dumb.url} { // in either order
		_, err := way.connect(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), dead.url+": ") {
			t.Errorf("%v, want what is wrong with %s", err, dead.url)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := way.connect(ctx); err != context.Canceled {
		t.Errorf("when it is no longer wanted: %v", err)
	}
}
