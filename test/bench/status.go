package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// status compares the product with itself: without the status listener, and with one at which a page is open. Then it measures what
// a crowd at the listener costs those who ask for names.
func status(ctx context.Context, dir string, args []string) error {
	f, _, err := parseCompare("status", "wire,crowd", args)
	if err != nil {
		return err
	}
	binary, err := buildProduct(dir)
	if err != nil {
		return err
	}
	port, err := rig.FreePort("127.0.0.1")
	if err != nil {
		return err
	}
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	r := newReport("status", "What the status listener costs a query", args)
	c := comparison{compareFlags: f, dir: dir, report: r, candidates: []candidate{
		{name: "without", binary: binary},
		{name: "status, a page open", binary: binary, property: "status " + at, page: "http://" + at},
	}}
	r.note("%d interleaved rounds, medians with their 95 %% intervals; ratios are taken in each round.", f.rounds)
	crowd := func(ctx context.Context) error { return c.crowd(ctx, binary, at) }
	if err := c.measure(ctx, map[string]func(context.Context) error{"wire": c.wire, "crowd": crowd}); err != nil {
		return err
	}
	return r.publish(f.out)
}

// openPage asks for what the page needs, as a browser does, and reads the events as they come until it is closed.
func openPage(ctx context.Context, url string) (io.Closer, error) {
	for _, path := range []string{"/", "/names", "/containers"} {
		r, err := get(ctx, url+path)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	r, err := get(ctx, url+"/events")
	if err != nil {
		return nil, err
	}
	go io.Copy(io.Discard, r.Body)
	return r.Body, nil
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html,text/event-stream")
	r, err := http.DefaultClient.Do(req)
	if err == nil && r.StatusCode != http.StatusOK {
		r.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", url, r.Status)
	}
	return r, err
}
