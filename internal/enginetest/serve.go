package enginetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/versions"
)

var versioned = regexp.MustCompile(`^/v([0-9]+(?:\.[0-9]+)+)(/.*)$`)

// serve counts the call, then lets the faults have it, then answers.
func (e *Engine) serve(w http.ResponseWriter, r *http.Request) {
	path, version := r.URL.Path, ""
	if m := versioned.FindStringSubmatch(path); m != nil {
		version, path = m[1], m[2]
	}
	kind, ref := route(path)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		kind = "forbidden"
	}
	var s *slot
	if kind == "inspect" {
		s, ref = e.lookup(ref)
		e.calls.add("inspect "+ref, 1)
	}
	e.calls.add(kind, 1)
	if !e.faults.wait(r.Context(), kind) {
		return
	}
	if status, fails := e.faults.failing(kind); fails {
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		e.fail(w, status, "injected fault")
		return
	}
	a := e.flavour.about()
	w.Header().Set("Date", e.now().UTC().Format(http.TimeFormat))
	for k, v := range map[string]string{"Server": a.server, "Api-Version": a.api, "Ostype": "linux", "Docker-Experimental": "false"} {
		w.Header().Set(k, v)
	}
	if problem := e.flavour.refuses(version); problem != "" {
		e.fail(w, http.StatusBadRequest, problem)
		return
	}
	if body, ok := e.faults.answer(kind, ref); ok {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
		return
	}
	if n, ok := e.faults.cutting(kind); ok {
		w = &cutWriter{ResponseWriter: w, left: n}
	}
	switch kind {
	case "ping":
		e.servePing(w, r)
	case "version":
		e.answer(w, e.versionAnswer())
	case "info":
		e.answer(w, e.infoAnswer())
	case "events":
		e.serveEvents(w, r)
	case "list":
		e.serveList(w, r.URL.Query())
	case "inspect":
		e.serveInspect(w, r, s, ref)
	case "networks":
		e.answer(w, e.networksAnswer())
	case "network":
		e.serveNetwork(w, ref)
	case "services", "tasks", "nodes":
		e.serveSwarm(w, kind, r.URL.Query())
	case "libpod":
		e.serveLibpod(w, version)
	case "forbidden":
		e.fail(w, http.StatusForbidden, "this engine is for reading only")
	default:
		e.fail(w, http.StatusNotFound, "page not found")
	}
}

// cutWriter ends the connection after so many octets of the body.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.ResponseWriter.Write(b)
	}
	_, _ = c.ResponseWriter.Write(b[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// route is the kind of call, by the names that Calls knows, and what it is about.
func route(path string) (kind, ref string) {
	switch path {
	case "/_ping":
		return "ping", ""
	case "/version", "/info", "/events", "/networks", "/services", "/tasks", "/nodes":
		return path[1:], ""
	case "/containers/json":
		return "list", ""
	case "/libpod/networks/json":
		return "libpod", ""
	}
	if name, ok := strings.CutPrefix(path, "/containers/"); ok {
		if name, ok = strings.CutSuffix(name, "/json"); ok && name != "" {
			return "inspect", name
		}
	}
	if name, ok := strings.CutPrefix(path, "/networks/"); ok && name != "" && !strings.Contains(name, "/") {
		return "network", name
	}
	return "unknown", ""
}

// lookup finds what is to be inspected; nil: nothing, and then the name is the ref.
func (e *Engine) lookup(ref string) (s *slot, id string) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if s = e.find(ref); s == nil {
		return nil, ref
	}
	return s, s.now.id
}

func (e *Engine) servePing(w http.ResponseWriter, r *http.Request) {
	for k, v := range e.flavour.pingHeaders() {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte("OK"))
	}
}

func (e *Engine) serveNetwork(w http.ResponseWriter, ref string) {
	e.mu.RLock()
	n := e.findNetwork(ref)
	e.mu.RUnlock()
	if n == nil || !e.shows(n) {
		e.fail(w, http.StatusNotFound, "network "+ref+" not found")
		return
	}
	e.answer(w, e.networkAnswer(n, true))
}

// serveLibpod answers by Podman's own API.
func (e *Engine) serveLibpod(w http.ResponseWriter, version string) {
	switch {
	case e.flavour != Podman:
		e.fail(w, http.StatusNotFound, "page not found")
	case versions.LessThan(version, "4.0.0"):
		e.fail(w, http.StatusBadRequest, "failed to parse query parameter 'version': given version is not supported")
	default:
		e.answer(w, e.libpodAnswer())
	}
}

// serveInspect waits as long as the container's start takes, or a test wants it to.
func (e *Engine) serveInspect(w http.ResponseWriter, r *http.Request, s *slot, id string) {
	c, _ := e.current(s)
	name := id
	if c != nil {
		name = c.Name
	}
	if !e.faults.wait(r.Context(), "inspect "+id, "inspect "+name) {
		return
	}
	c, starting := e.current(s)
	if starting != nil {
		select {
		case <-starting.open:
		case <-r.Context().Done():
			return
		}
		c, _ = e.current(s)
	}
	var body []byte
	if c != nil {
		var err error
		if body, err = json.Marshal(e.inspectAnswer(c)); err != nil {
			panic(err)
		}
	}
	full := len(body)
	body, cut := e.faults.inspectBody(body, id, name)
	if body == nil {
		e.fail(w, http.StatusNotFound, e.noSuchContainer(id))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if cut {
		w.Header().Set("Content-Length", strconv.Itoa(full)) // promised, so that the end is no end
	}
	_, _ = w.Write(body)
	if cut {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func (e *Engine) current(s *slot) (*snapshot, *gate) {
	if s == nil {
		return nil, nil
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return s.now, s.starting
}

func (e *Engine) noSuchContainer(ref string) string {
	if e.flavour == Podman {
		return fmt.Sprintf("no container with name or ID %q found: no such container", ref)
	}
	return "No such container: " + ref
}

// shown is which containers a list shows: those that the filter of their status lets through, else all or the running
// ones.
func (e *Engine) shown(query url.Values) (func(*snapshot) bool, error) {
	f, err := filters.FromJSON(query.Get("filters"))
	if err != nil {
		return nil, err
	}
	all, _ := strconv.ParseBool(query.Get("all"))
	statuses := f.Get("status")
	switch {
	case f.Len() > 1 || f.Len() == 1 && len(statuses) == 0:
		return nil, errors.New("enginetest: no filters but that of the status here")
	case e.flavour == Podman && slices.Contains(statuses, string(container.StateRestarting)):
		return nil, errors.New("unknown container state: restarting: invalid argument")
	case len(statuses) > 0:
		return func(c *snapshot) bool { return slices.Contains(statuses, string(c.status)) }, nil
	case e.flavour == Podman:
		return func(c *snapshot) bool { return all || c.status == container.StateRunning }, nil
	}
	return func(c *snapshot) bool { return all || c.counted() }, nil
}

// serveList answers with the containers of one moment, a row at a time.
func (e *Engine) serveList(w http.ResponseWriter, query url.Values) {
	shown, err := e.shown(query)
	if err != nil {
		e.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	_ = out.WriteByte('[')
	first := true
	list := e.all()
	if e.flavour == Podman {
		slices.Reverse(list) // oldest first
	}
	for _, c := range list {
		if !shown(c) {
			continue
		}
		row, err := json.Marshal(e.listAnswer(c))
		if err != nil {
			panic(err)
		}
		if !first {
			_ = out.WriteByte(',')
		}
		first = false
		if _, err := out.Write(row); err != nil {
			return
		}
	}
	_, _ = out.WriteString("]\n")
	_ = out.Flush()
}

func (e *Engine) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (e *Engine) fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body := map[string]any{"message": message}
	if e.flavour == Podman {
		body["cause"], body["response"] = message, status
	}
	_ = json.NewEncoder(w).Encode(body)
}
