package command

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// run runs the command, and returns what it prints and its exit code.
func run(args ...string) (out, errs string, code int) {
	var o, e strings.Builder
	code = Run("dns", args, &o, &e)
	return o.String(), e.String(), code
}

// echo serves the questions themselves.
func echo(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		form := r.Header.Get("Accept")
		w.Header().Set("Content-Type", form+"; charset=utf-8")
		fmt.Fprintln(w, r.Method, form, r.URL.EscapedPath(), r.URL.RawQuery)
	})
}

// serveJSON serves the values by path and parameter after.
func serveJSON(t *testing.T, values map[string]any) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		value, ok := values[strings.TrimSpace(r.URL.Path+" "+r.FormValue("after"))]
		if !ok {
			t.Errorf("%s is asked for", r.URL)
		}
		w.Header().Set("Content-Type", asJSON)
		if err := json.NewEncoder(w).Encode(value); err != nil {
			t.Error(err)
		}
	})
}

// serve serves HTTP until the test's end, and returns where.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Each command asks the server for its page, and prints it as it comes.
func TestAsks(t *testing.T) {
	address := echo(t)
	for _, c := range []struct{ args, want string }{
		{"explain web.docker", "GET text/plain /explain/web.docker "},
		{"explain --json web.docker", "GET application/json /explain/web.docker "},
		{"explain web.docker --from db --type aaaa --block .:53", "GET text/plain /explain/web.docker block=.%3A53&from=db&type=aaaa"},
		{"explain --from lan -type=SRV _http._tcp.web.docker", "GET text/plain /explain/_http._tcp.web.docker from=lan&type=SRV"},
		{"explain a/b?c", "GET text/plain /explain/a%2Fb%3Fc "},
		{"explain fd00::1 --from 172.17.0.2", "GET text/plain /explain/fd00::1 from=172.17.0.2"},
		{"names", "GET text/plain /names limit=10000"},
		{"--from web names --search ngi", "GET text/plain /names from=web&limit=10000&q=ngi"},
		{"containers --after .:53,nas,web,1", "GET text/plain /containers after=.%3A53%2Cnas%2Cweb%2C1&limit=10000"},
		{"containers web --block .:53", "GET text/plain /containers/web block=.%3A53"},
		{"hosts --json", "GET application/json /hosts "},
	} {
		out, errs, code := run(append(strings.Fields(c.args), "--status", address)...)
		if out != c.want+"\n" || errs != "" || code != exitWell {
			t.Errorf("%s: code %d, prints %q and %q; want %q", c.args, code, out, errs, c.want)
		}
	}
}

// A script knows by the exit code whether the name has an answer.
func TestExplained(t *testing.T) {
	for records, want := range map[string]int{"0": exitFound, "1": exitWell, "12": exitWell} {
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.Header.Get("Accept"))
			w.Header().Set(status.RecordsField, records)
		})
		for _, form := range []string{"--json", "--json=false"} {
			if _, errs, code := run("explain", "web", form, "--status", address); code != want {
				t.Errorf("%s records, %s: code %d, prints %s; want %d", records, form, code, errs, want)
			}
		}
	}
}

// What is not understood is told with what is, in the binary's own name.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args, out, errs string
		code            int
	}{
		{"", "dns docker explain NAME  ", "", exitWell},
		{"--help", "dns docker doctor", "", exitWell},
		{"explain -h", "The exit code is\n    0  the name has an answer", "", exitWell},
		{"explan web", "", "dns docker: there is no 'explan'; see 'dns docker --help'", exitUsage},
		{"explain", "", "explain takes one NAME, not []", exitUsage},
		{"explain web db", "", `explain takes one NAME, not ["web" "db"]`, exitUsage},
		{"explain .", "", "'.' is no name that can be explained", exitUsage},
		{"names web", "", "names takes nothing", exitUsage},
		{"names --type A", "", "names has no --type", exitUsage},
		{"hosts --for web", "", "flag provided but not defined: -for", exitUsage},
		{"hosts --status", "", "flag needs an argument: -status", exitUsage},
		{"hosts --status unix://run/dns.sock", "", "--status 'unix://run/dns.sock' is no address: want HOST:PORT or unix:///PATH", exitUsage},
		{"hosts --status 127.0.0.1:http:80", "", "is no address: want HOST:PORT", exitUsage},
		{"resolver", "", "resolver goes on with install, status or remove; see ", exitUsage},
		{"resolver instal", "", "there is no 'resolver instal'", exitUsage},
		{"resolver install now", "", `resolver install takes nothing, not ["now"]`, exitUsage},
		{"resolver status --dry-run", "", "resolver status has no --dry-run", exitUsage},
		{"resolver remove --zone docker", "", "resolver remove has no --zone", exitUsage},
		{"doctor --skip resolver,cache", "", "there is no check 'cache'; they are status, engine, ", exitUsage},
	} {
		out, errs, code := run(strings.Fields(c.args)...)
		if !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || (c.errs == "") != (errs == "") || code != c.code {
			t.Errorf("%q: code %d, prints %q and %q; want %d, %q and %q", c.args, code, out, errs, c.code, c.out, c.errs)
		}
	}
}

// Where the server does not answer, or not so, the exit code and the text say why.
func TestNoAnswer(t *testing.T) {
	says := func(code int, form, text string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", form)
			w.WriteHeader(code)
			fmt.Fprintln(w, text)
		})
	}
	for _, c := range []struct {
		name, address, args, want string
		code                      int
	}{
		{"nobody", nobodyAt(t), "explain web", "connection refused\nIt has to run, with the property status in its docker block:\n    docker docker. {\n        status\n    }\n", exitNoServer},
		{"no socket", "unix:///nowhere/dns.sock", "names", "/nowhere/dns.sock: connect: no such file or directory", exitNoServer},
		{"bad question", says(400, asText, "'X' is no type"), "explain web --type X", "dns docker: 'X' is no type\n", exitUsage},
		{"bad question, JSON", says(400, asJSON, `{"status": 400, "error": "'X' is no type"}`), "explain web --json", "dns docker: 'X' is no type\n", exitUsage},
		{"no container", says(404, asText, "No container"), "containers web", "dns docker: No container\n", exitFound},
		{"busy", says(503, asText, "Too many"), "names", "dns docker: Too many\n", exitNoServer},
		{"no text", says(500, asText, ""), "names", "dns docker: 500 Internal Server Error\n", exitNoServer},
		{"a terminal's commands", says(503, asText, "\x1b[2Jgone"), "names", "dns docker: \ufffd[2Jgone\n", exitNoServer},
		{"another server", says(200, "text/html", "<html>"), "names", `is another server: it sends "text/html" in place of text/plain`, exitNoServer},
		{"elsewhere", says(302, asText, "moved"), "names", "moved", exitNoServer},
		{"without end", serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", asText)
			for r.Context().Err() == nil {
				fmt.Fprintln(w, strings.Repeat("x", 1<<16))
			}
		}), "names", "too large", exitNoServer},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs, code := run(append(strings.Fields(c.args), "--status", c.address)...)
			if !strings.Contains(errs, c.want) || code != c.code {
				t.Errorf("code %d, prints %q; want %d and %q", code, errs, c.code, c.want)
			}
		})
	}
}

// The server is asked by all forms of its address.
func TestStatusAddress(t *testing.T) {
	for address, want := range map[string]string{
		"localhost:9180":       "http://localhost:9180",
		":1234":                "http://localhost:1234",
		"nas.lan":              "http://nas.lan:9180",
		"[::1]:80":             "http://[::1]:80",
		"::1":                  "http://[::1]:9180",
		"[::1]":                "http://[::1]:9180",
		"unix:///run/dns.sock": "http://localhost",
	} {
		c, err := newClient(address)
		if err != nil || c.base != want {
			t.Errorf("%s: %v, %v, want %s", address, c, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", asText)
		fmt.Fprintln(w, r.Host)
	})}}
	s.Start()
	defer s.Close()
	if out, errs, code := run("hosts", "--status", "unix://"+path); out != "localhost\n" || code != exitWell {
		t.Errorf("by the socket: code %d, prints %q and %q", code, out, errs)
	}
}
