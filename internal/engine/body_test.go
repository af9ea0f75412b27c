package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// What is cut off is read as far as it is complete.
func TestBeginning(t *testing.T) {
	const text = `{"Id":"a","n":1,"Actor":{"ID":"b","Attributes":{"k":"v","l":[1,{"m":null}]}},"x":[[],{}]}`
	for n, want := range map[string]string{
		``:                       ``,
		`{`:                      `{}`,
		`{"Id`:                   `{}`,
		`{"Id":`:                 `{}`,
		`{"Id":"`:                `{}`,
		`{"Id":"a"`:              `{"Id":"a"}`,
		`{"Id":"a","n":1,"Actor`: `{"Id":"a","n":1}`,
		`{"Id":"a","n":1,"Actor":{"ID":"b","Attributes":{"k":"v","l":[1,{"m`: `{"Id":"a","n":1,"Actor":{"ID":"b","Attributes":{"k":"v","l":[1,{}]}}}`,
		text[:len(text)-1]: text,
		text:               text,
		`[1,"x`:            `[1]`,
		`"x`:               ``,
		`}`:                ``,
	} {
		if got := string(beginning([]byte(n))); got != want {
			t.Errorf("%s: %s, want %s", n, got, want)
		}
	}
	for n := range text {
		if whole := beginning([]byte(text[:n])); n > 0 && !json.Valid(whole) {
			t.Errorf("%s: %s", text[:n], whole)
		}
	}
}

func TestValues(t *testing.T) {
	long, many := strings.Repeat("x", maxValue), strings.Repeat(`"x",`, maxValue/4)
	escapes := strings.Repeat(`\"`, maxString)
	for text, want := range map[string]string{
		``:                                   "EOF",
		" \n":                                "EOF",
		`{"a":"}"}{"b":"\"]"}`:               `{"a":"}"} {"b":"\"]"} EOF`,
		"[]\n[[1,2],{}]\n":                   `[] [[1,2],{}] EOF`,
		"1 null,\"a b\"\ntrue":               `1 null "a b" true EOF`,
		"1]":                                 `1 EOF`,
		`{"a":`:                              "unexpected EOF",
		`"a`:                                 "unexpected EOF",
		`{"a":1,"b":"` + long + `","c":2}7`:  `{"a":1,"b":"","c":2} 7 EOF`,
		`["` + escapes + `","` + long + `"]`: `["",""] EOF`,
		`{"` + long + `":{"b":"c"}}`:         `{"":{"b":"c"}} EOF`,
		`{"a":1,"b":[` + many + `3],"c":2}7`: `{"a":1,"b":[` + many[:len(many)-13] + `]} 7 EOF`,
		strings.Repeat("[", maxDepth+2):      "what the engine says is nested deeper than 10000 levels or longer than 268435456 octets",
	} {
		v := newValues(strings.NewReader(text))
		var got []string
		for {
			value, err := v.next()
			if err != nil {
				got = append(got, err.Error())
				break
			}
			got = append(got, string(value))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%.40s: %.100s, want %s", text, strings.Join(got, " "), want)
		}
	}
}

// FuzzValues compares with the decoder of the standard library.
func FuzzValues(f *testing.F) {
	f.Add([]byte(`{"a":"}"}{"b":"\"]"} [1,2] 7 "x"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, dec := newValues(strings.NewReader(string(text))), json.NewDecoder(strings.NewReader(string(text)))
		for {
			var want json.RawMessage
			if err := dec.Decode(&want); err != nil {
				return // what is no JSON may be anything, but no crash
			}
			if strings.ContainsAny(string(text[:dec.InputOffset()]), ",]") && want[0] != '{' {
				return // commas and ends of lists are read past
			}
			if strings.IndexByte(`{["`, want[0]) < 0 || len(want) > maxString {
				return // numbers and words that nothing parts are one here, and long strings are empty
			}
			got, err := v.next()
			if err != nil || string(got) != string(want) {
				t.Fatalf("%q, %v; want %q", got, err, want)
			}
		}
	})
}

// A refused stream has never begun, however late the client tells of it.
func TestRefusedStream(t *testing.T) {
	t.Parallel()
	refusing := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusForbidden, Request: r, Body: io.NopCloser(strings.NewReader("no"))}, nil
	})
	d, err := newDocker("", newRecorder(), refusing, client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if _, err := d.events(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), "GET /events is forbidden") {
			t.Fatalf("a refused stream: %v", err)
		}
	}
}

// An engine is not empty for want of an answer about who runs.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		runs, forbidden, want bool
	}{{false, false, true}, {false, true, true}, {true, false, false}, {true, true, false}} {
		e := enginetest.New(t)
		if c.runs {
			e.Run(enginetest.Spec{Name: "web"})
		}
		if c.forbidden {
			e.FailCalls("inspect", -1, http.StatusForbidden)
		}
		w, r := watch(t, e, time.Hour)
		synced(t, r)
		if got := w.Empty(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// An engine of which a call is forbidden is not watched, and the error says which one.
func TestForbiddenCalls(t *testing.T) {
	t.Parallel()
	for kind, path := range map[string]string{"ping": "/_ping", "info": "/info", "events": "/events", "networks": "/networks", "list": "/containers/json"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			e.FailCalls(kind, -1, http.StatusForbidden)
			_, r := watch(t, e, time.Hour)
			r.wait(t, "failures", func() bool { return len(r.errors) > 2 })
			r.mu.Lock()
			connected, why := r.connected, r.errors[2].Error()
			r.mu.Unlock()
			if connected != 0 || !strings.Contains(why, "GET "+path+" is forbidden") {
				t.Errorf("connected %d times, %s", connected, why)
			}
			e.ClearFaults()
			r.wait(t, "a connection", func() bool { return r.connected == 1 })
		})
	}
}

// Containers that say as much as an engine takes cost nobody else anything: others' starts are told as soon, memory
// stays level, and who is too large is left out by itself, once told.
func TestLargeContainers(t *testing.T) {
	e := enginetest.New(t)
	w, r := watch(t, e, time.Hour)
	synced(t, r)
	waitStream(t, e)
	aliases := make([]string, 20000)
	for i := range aliases {
		aliases[i] = fmt.Sprint("alias-number-", i)
	}
	var ports []string
	for i := 1; i <= 10000; i++ {
		ports = append(ports, fmt.Sprint(i, "/tcp"), fmt.Sprint(i, "/udp"))
	}
	e.AddNetwork("front")
	large := []string{
		e.Run(enginetest.Spec{Name: "aliases", Networks: []enginetest.Attachment{{Network: "front", Aliases: aliases}}, Health: "healthy"}),
		e.Run(enginetest.Spec{Name: "ports", ExposedPorts: ports, Health: "healthy"}),
	}
	label := e.Run(enginetest.Spec{Name: "label", Labels: map[string]string{"a": strings.Repeat("x", maxAnswer)}, Health: "healthy"})
	r.waitNames(t, "aliases", "ports")
	r.wait(t, "who is left out", func() bool { return len(r.leftOut) == 1 && strings.HasPrefix(r.leftOut[0], label) })
	for i := range 3 {
		for _, id := range append(large, label) {
			e.SetHealth(id, []string{"unhealthy", "healthy"}[i%2])
		}
		name := fmt.Sprint("small-", i)
		begin := time.Now()
		id := e.Run(enginetest.Spec{Name: name})
		r.wait(t, name, func() bool { return r.containers[id] != nil })
		if took := time.Since(begin); took > deadline/2 { // on a busy machine, of a usual millisecond or two
			t.Errorf("%s was seen after %s", name, took)
		}
	}
	waitIdle(t, w)
	if c := r.get(large[0]); len(c.Endpoints[0].Aliases) != maxAliases {
		t.Errorf("%d aliases are kept, want %d", len(c.Endpoints[0].Aliases), maxAliases)
	}
	if c := r.get(large[1]); len(c.Ports) != maxPorts || c.Ports[0].Number != 1 {
		t.Errorf("%d ports are kept, want %d", len(c.Ports), maxPorts)
	}
	r.mu.Lock()
	if len(r.leftOut) != 1 || len(r.errors) != 0 {
		t.Errorf("left out %q, errors %v", r.leftOut, r.errors)
	}
	r.mu.Unlock()
}

// Reading much takes little memory, again and again.
func TestReadingMuch(t *testing.T) {
	for name, c := range map[string]struct {
		entry string // of a list
		most  uint64 // MiB that reading it three times takes
	}{
		"label":   {`{"Id":"a","Config":{"Labels":{"a":"` + strings.Repeat("x", maxAnswer) + `"}}}`, 20},
		"list":    {`{"Id":"a","Config":{"Labels":{"a":"` + strings.Repeat("x", 3<<20) + `"}}}`, 40},
		"aliases": {`{"Id":"a","NetworkSettings":{"Networks":{"n":{"Aliases":["x"` + strings.Repeat(`,"alias-number-12345"`, 50000) + `]}}}}`, 20},
	} {
		d := answering(t, []byte(c.entry))
		list := answering(t, []byte("["+c.entry+"]"))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 3 {
			if _, err := d.inspect(t.Context(), "a"); err == nil {
				t.Errorf("%s: no error", name)
			}
			if all, err := list.list(t.Context()); err != nil || len(all) != 1 || all[0].ID != "a" {
				t.Errorf("%s: the list is %v, %v", name, all, err)
			}
		}
		runtime.ReadMemStats(&after)
		if taken := (after.TotalAlloc - before.TotalAlloc) >> 20; taken > c.most {
			t.Errorf("%s: reading it three times took %d MiB, want %d at most", name, taken, c.most)
		}
	}
}

// In a list one entry that is too large costs the others nothing: it is looked at by itself.
func TestLargeEntries(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	e.AddNetwork("odd", "10.1.0.0/16")
	e.Run(enginetest.Spec{Name: "first"})
	e.Run(enginetest.Spec{Name: "large", Labels: map[string]string{"a": strings.Repeat("x", maxAnswer)}})
	e.Run(enginetest.Spec{Name: "labels", Labels: map[string]string{"a": strings.Repeat("x", 1<<20)}})
	e.Run(enginetest.Spec{Name: "last", NetworkMode: "odd"})
	var networks []json.RawMessage // in the engine's order, in which the labels come last
	fetch(t, e, "/networks", &networks)
	for i, n := range networks {
		networks[i] = []byte(strings.Replace(string(n), `"Labels":{}`, `"Labels":{"a":"`+strings.Repeat("x", 1<<20)+`"}`, 1))
	}
	e.RawAnswer("networks", encode(t, networks))
	_, r := watch(t, e, 200*time.Millisecond)
	synced(t, r)
	r.waitNames(t, "first", "labels", "last")
	r.wait(t, "more reconciliations", func() bool { return r.rounds > 1 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.leftOut) != 1 || len(r.errors) != 0 || slices.Contains(r.names(), "large") {
		t.Errorf("left out %v, errors %v", r.leftOut, r.errors)
	}
	if n := r.network("odd"); n == nil || fmt.Sprint(n.Subnets) != "[10.1.0.0/16]" {
		t.Errorf("network %+v", n)
	}
}

// An event with large labels is still one.
func TestLargeEvents(t *testing.T) {
	t.Parallel()
	e := enginetest.New(t)
	_, r := watch(t, e, time.Hour)
	synced(t, r)
	waitStream(t, e)
	id := e.Run(enginetest.Spec{Name: "labels", Labels: map[string]string{"a": strings.Repeat("x", 1<<20)}})
	r.waitNames(t, "labels")
	e.Stop(id)
	r.waitNames(t)
	e.Start(id)
	r.waitNames(t, "labels")
	e.Rename(id, "renamed")
	r.waitNames(t, "renamed")
	e.Remove(id)
	r.waitNames(t)
	if n := len(r.errors); n != 0 {
		t.Errorf("errors %v", r.errors)
	}
}

// What is lean to decode is the same as what the usual decoder makes of it.
func TestMembers(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "", `null`: "", "{ \n}": "",
		`{"80/tcp":null,"5\u0033/udp" : [ {"HostIp":"0.0.0.0","HostPort":"}53"} ] ,"x":{"a":[1,2],"b":"]\""}}`: `80/tcp=null 53/udp=[ {"HostIp":"0.0.0.0","HostPort":"}53"} ] x={"a":[1,2],"b":"]\""}`,
		`[1, "a,b" ,null,[]]`: `=1 ="a,b" =null =[]`,
	} {
		var got []string
		err := members([]byte(text), text[0], func(key, value []byte) (bool, error) {
			got = append(got, fmt.Sprintf("%s=%s", key, value))
			return true, nil
		})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	var e jsonEndpoint
	if err := json.Unmarshal([]byte(`{"Aliases":7,"IPAddress":"10.0.0.1"}`), &e); err != nil || e.IPAddress != "10.0.0.1" {
		t.Errorf("aliases of another type: %+v, %v", e, err)
	}
}
