package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

const (
	dialTimeout = 5 * time.Second
	// askTimeout bounds a whole answer. The largest ones are lists of many thousands of names.
	askTimeout = time.Minute
	// maxAnswer bounds an answer, in octets.
	maxAnswer = 64 << 20
	// maxError bounds what is printed of an answer that says what is wrong.
	maxError = 4 << 10
)

// client asks the server's status listener.
type client struct {
	address string // as it is written
	base    string // of URLs
	http    http.Client
}

// newClient returns a client for the address, which is HOST:PORT or unix:///PATH.
func newClient(address string) (*client, error) {
	c := &client{address: address, base: "http://localhost"}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{DialContext: dialer.DialContext}
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		if !filepath.IsAbs(path) {
			return nil, badStatus(address)
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
	} else {
		host, port, err := net.SplitHostPort(address)
		if err != nil { // no port
			host = strings.Trim(address, "[]")
			_, port, _ = net.SplitHostPort(status.DefaultAddress)
		}
		if _, err := netip.ParseAddr(host); strings.Contains(host, ":") && err != nil {
			return nil, badStatus(address)
		}
		base := url.URL{Scheme: "http", Host: net.JoinHostPort(cmp.Or(host, "localhost"), port)}
		if _, err := url.Parse(base.String()); err != nil {
			return nil, badStatus(address)
		}
		c.base = base.String()
	}
	c.http = http.Client{Transport: transport, Timeout: askTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func badStatus(address string) error {
	return fmt.Errorf("--status '%s' is no address: want HOST:PORT or unix:///PATH", address)
}

// refusal is the server's answer that it does not answer the question.
type refusal struct {
	code int
	text string
}

// Error implements error.
func (r refusal) Error() string { return r.text }

// The forms of an answer.
const (
	asText = "text/plain"
	asJSON = "application/json"
)

// get asks for the path, whose parts are escaped. An answer other than 200 is a refusal.
func (c *client) get(ctx context.Context, path string, query url.Values, form string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", form)
	resp, err := c.http.Do(r)
	if err != nil {
		var inURL *url.Error
		if errors.As(err, &inURL) { // the URL is our affair
			err = inURL.Err
		}
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
		if err != nil {
			return nil, err
		}
		var says struct{ Error string } // where JSON is asked for
		if json.Unmarshal(b, &says) != nil {
			says.Error = string(b)
		}
		return nil, refusal{resp.StatusCode, cmp.Or(printable(strings.TrimSpace(says.Error)), resp.Status)}
	}
	if is := resp.Header.Get("Content-Type"); !strings.HasPrefix(is, form) {
		resp.Body.Close()
		return nil, fmt.Errorf("what answers at %s is another server: it sends %q in place of %s", c.address, is, form)
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}

// printable has no character that a terminal takes for a command.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
