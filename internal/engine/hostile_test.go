package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/container"
	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// edit changes an answer of the engine's, which is an object.
type edit func(object map[string]any)

func set(value any, path ...string) edit {
	return func(o map[string]any) {
		for _, key := range path[:len(path)-1] {
			o = o[key].(map[string]any)
		}
		o[path[len(path)-1]] = value
	}
}

func without(key string) edit { return func(o map[string]any) { delete(o, key) } }

// big is more than an engine ever says at once.
const big = 10 << 20

// The inspect of one container says nonsense: the others stay as they are, and the one is right again
// afterwards.
func TestHostileInspect(t *testing.T) {
	t.Parallel()
	bodies := map[string][]byte{
		"empty": {}, "null": []byte("null"), "list": []byte("[]"), "text": []byte(`"x"`), "half": []byte(`{"Id":"`),
		"garbage": bytes.Repeat([]byte("\x00\xffgarbage"), big/9), "deep": bytes.Repeat([]byte("["), big),
	}
	edits := map[string]edit{
		"short id":        set("0123456789ab", "Id"),
		"another's id":    set(strings.Repeat("a", 64), "Id"),
		"no name":         set("", "Name"),
		"slash":           set("/", "Name"),
		"spaces":          set("/a b  c", "Name"),
		"NUL":             set("/a\x00b", "Name"),
		"not ASCII":       set("/Küche\u202e", "Name"),
		"huge name":       set(strings.Repeat("x", big), "Name"),
		"state a text":    set("running", "State"),
		"running a text":  set("yes", "State", "Running"),
		"health null":     set(nil, "State", "Health"),
		"health unknown":  set(map[string]any{"Status": "splendid"}, "State", "Health"),
		"started garbage": set("yesterday", "State", "StartedAt"),
		"labels a list":   set([]any{"a=b"}, "Config", "Labels"),
		"labels null":     set(nil, "Config", "Labels"),
		"hostname number": set(7, "Config", "Hostname"),
		"ports odd":       set(map[string]any{"": nil, "/": nil, "080/TCP": nil, "x/y/z": nil, "99999/tcp": nil}, "Config", "ExposedPorts"),
		"networks null":   set(nil, "NetworkSettings", "Networks"),
		"networks a list": set([]any{1}, "NetworkSettings", "Networks"),
		"network null":    set(map[string]any{"bridge": nil}, "NetworkSettings", "Networks"),
		"addresses odd": set(map[string]any{
			"a": map[string]any{"IPAddress": "1.2.3", "GlobalIPv6Address": "::ffff:0.0.0.0"},
			"b": map[string]any{"IPAddress": "127.0.0.1", "GlobalIPv6Address": "fe80::1%eth0"},
			"c": map[string]any{"IPAddress": strings.Repeat("1.", 1000), "GlobalIPv6Address": "255.255.255.255"},
		}, "NetworkSettings", "Networks"),
	}
	for _, key := range []string{"Id", "State", "Config", "HostConfig", "NetworkSettings", "Name", "Created"} {
		edits["no "+key], edits[key+" null"], edits[key+" a number"] = without(key), set(nil, key), set(7, key)
	}
	test := func(name string, body func(inspect map[string]any) []byte) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostile(t, func(e *enginetest.Engine, victim string) {
				var inspect map[string]any
				fetch(t, e, "/containers/"+victim+"/json", &inspect)
				e.RawInspect(victim, body(inspect))
				seen := e.InspectCalls(victim)
				e.Emit("container", "rename", victim, nil)
				await(t, func(ctx context.Context) error { return e.WaitInspectCalls(ctx, victim, seen+1) })
			})
		})
	}
	for name, body := range bodies {
		test(name, func(map[string]any) []byte { return body })
	}
	for name, edit := range edits {
		test(name, func(inspect map[string]any) []byte {
			edit(inspect)
			return encode(t, inspect)
		})
	}
}

// The list of containers or networks is nonsense, in part or in whole.
func TestHostileList(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(list []any) any{
		"null":           func([]any) any { return nil },
		"object":         func([]any) any { return map[string]any{"Id": "x"} },
		"empty":          func([]any) any { return []any{} },
		"odd entries":    func(list []any) any { return append(list, nil, 7, "x", []any{}, map[string]any{}) },
		"doubled":        func(list []any) any { return slices.Concat(list, list, list) },
		"short ids":      func(list []any) any { return each(list, set("0123456789ab", "Id")) },
		"no such ids":    func(list []any) any { return each(list, set(strings.Repeat("e", 64), "Id")) },
		"ids are paths":  func(list []any) any { return each(list, set("../../_ping?x="+strings.Repeat("y", 1000), "Id")) },
		"ids blank":      func(list []any) any { return each(list, set("  ", "Id")) },
		"ids numbers":    func(list []any) any { return each(list, set(7, "Id")) },
		"names null":     func(list []any) any { return each(list, set(nil, "Names")) },
		"names odd":      func(list []any) any { return each(list, set([]any{"", "/", "a/b", "a\x00", nil, "ü"}, "Names")) },
		"labels a list":  func(list []any) any { return each(list, set([]any{}, "Labels")) },
		"created a text": func(list []any) any { return each(list, set("now", "Created")) },
		"networks null":  func(list []any) any { return each(list, set(nil, "NetworkSettings")) },
		"networks odd":   func(list []any) any { return each(list, set(map[string]any{"Networks": []any{1}}, "NetworkSettings")) },
		"huge":           func(list []any) any { return each(list, set(strings.Repeat("x", big/10), "Status")) },
		"garbage":        func([]any) any { return bytes.Repeat([]byte("\xfe"), big) },
		"deep":           func([]any) any { return bytes.Repeat([]byte("["), big) },
		"half":           func([]any) any { return []byte(`[{"Id":"`) },
	} {
		for kind, path := range map[string]string{"list": "/containers/json", "networks": "/networks"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				hostile(t, func(e *enginetest.Engine, _ string) {
					var list []any
					fetch(t, e, path, &list)
					e.RawAnswer(kind, encode(t, spoil(list)))
					seen := e.Calls(kind)
					if kind == "networks" {
						e.AddNetwork("new") // an event: they are read anew
					}
					await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, kind, seen+2) })
				})
			})
		}
	}
}

func each(list []any, change edit) []any {
	for _, entry := range list {
		change(entry.(map[string]any))
	}
	return list
}

// The event stream carries nonsense.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"garbage": strings.Repeat("\xff", big), "huge": `{"Type":"` + strings.Repeat("x", big) + `"}`, "deep": strings.Repeat("[", big),
		"null": "null", "number": "7", "list": "[]", "object": "{}", "types": `{"Type":1,"Action":{},"Actor":[],"timeNano":"x"}`,
		"no actor":  `{"Type":"container","Action":"start"}{"Type":"network","Action":"connect","Actor":{"Attributes":null}}`,
		"short id":  `{"Type":"container","Action":"start","Actor":{"ID":"0123456789ab"}}`,
		"path":      `{"Type":"container","Action":"start","Actor":{"ID":"../../info?"}}`,
		"unknown":   `{"Type":"container","Action":"start","Actor":{"ID":"` + strings.Repeat("e", 64) + `"}}`,
		"far times": `{"Type":"container","Action":"die","Actor":{"ID":"VICTIM"},"timeNano":9223372036854775807}{"Type":"container","Action":"die","Actor":{"ID":"VICTIM"},"timeNano":-9223372036854775808}`,
		"kill":      `{"Type":"container","Action":"kill","Actor":{"ID":"VICTIM","Attributes":{"signal":"\u0000TERM 99"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hostile(t, func(e *enginetest.Engine, victim string) {
				seen := e.Calls("list")
				e.EmitRaw([]byte(strings.ReplaceAll(line, "VICTIM", victim) + "\n"))
				await(t, func(ctx context.Context) error { return e.WaitCalls(ctx, "list", seen+2) })
			})
		})
	}
}

// One bad entry in a list does not hide the good ones from a watcher that knows none yet.
func TestHostileListAtStart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]edit{
		"types":   func(o map[string]any) { o["Labels"], o["Created"], o["State"] = []any{7}, "now", 7 },
		"doubled": func(map[string]any) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			e.Run(enginetest.Spec{Name: "a"})
			e.Run(enginetest.Spec{Name: "b"})
			var list []any
			fetch(t, e, "/containers/json", &list)
			change(list[0].(map[string]any))
			e.RawAnswer("list", encode(t, append(list, list...)))
			w, r := watch(t, e, 20*time.Millisecond)
			synced(t, r)
			r.waitNames(t, "a", "b")
			r.wait(t, "more reconciliations", func() bool { return r.rounds > 3 })
			if !w.Current() {
				t.Error("not current")
			}
		})
	}
}

// One network has a field that can't be read, for as long as the engine lives: nothing but this field
// is lost, and only what is of use here is missed.
func TestHostileNetwork(t *testing.T) {
	t.Parallel()
	gone := func(n *container.Network) bool { return n == nil }
	whole := func(n *container.Network) bool { return n != nil && fmt.Sprint(n.Subnets) == "[10.1.0.0/16]" }
	bare := func(n *container.Network) bool { return n != nil && n.Driver == "bridge" && len(n.Subnets) == 0 }
	for name, c := range map[string]struct {
		change     edit
		kept       func(*container.Network) bool
		unreadable string
	}{
		"created garbage":   {set("yesterday", "Created"), whole, ""},
		"created a number":  {set(7, "Created"), whole, ""},
		"created null":      {set(nil, "Created"), whole, ""},
		"IPv6 a text":       {set("yes", "EnableIPv6"), whole, ""},
		"containers a list": {set([]any{7}, "Containers"), whole, ""},
		"labels null":       {set(nil, "Labels"), whole, ""},
		"labels a number":   {set(7, "Labels"), whole, "networks: Labels is of type number"},
		"a label a number":  {set(7, "Labels", "com.docker.compose.network"), whole, "networks: Labels.com.docker.compose.network is of type number"},
		"IPAM null":         {set(nil, "IPAM"), bare, ""},
		"IPAM a number":     {set(7, "IPAM"), bare, "networks: IPAM is of type number"},
		"subnet garbage":    {set([]any{map[string]any{"Subnet": "10.1/16"}}, "IPAM", "Config"), bare, ""},
		"subnet a number":   {set([]any{7, map[string]any{"Subnet": 7}}, "IPAM", "Config"), bare, "networks: IPAM.Config is of type number"},
		"driver a list":     {set([]any{}, "Driver"), func(n *container.Network) bool { return n != nil && len(n.Subnets) == 1 }, "networks: Driver is of type array"},
		"id a number":       {set(7, "Id"), gone, "networks: Id is of type number"},
		"no id":             {without("Id"), gone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t)
			e.AddNetwork("odd", "10.1.0.0/16")
			e.AddNetwork("good", "10.2.0.0/16")
			e.Run(enginetest.Spec{Name: "web", NetworkMode: "good"})
			var list []any
			fetch(t, e, "/networks", &list)
			for _, n := range list {
				if n.(map[string]any)["Name"] == "odd" {
					c.change(n.(map[string]any))
				}
			}
			e.RawAnswer("networks", encode(t, list))
			_, r := watch(t, e, time.Hour)
			synced(t, r)
			e.Run(enginetest.Spec{Name: "later"})
			r.waitNames(t, "later", "web")
			r.mu.Lock()
			defer r.mu.Unlock()
			if !c.kept(r.network("odd")) || r.network("good") == nil || fmt.Sprint(r.network("good").Subnets) != "[10.2.0.0/16]" {
				t.Errorf("networks %+v", r.host.Networks)
			}
			if got := strings.Join(r.unreadable, "; "); got != c.unreadable || len(r.errors) != 0 {
				t.Errorf("unreadable %q, want %q; errors %v", got, c.unreadable, r.errors)
			}
		})
	}
}

// TestComposeNetworks checks what networks' labels say, and that a label can't be long.
func TestComposeNetworks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 250)
	for name, c := range map[string]struct {
		labels string
		want   container.ComposeNetwork
	}{
		"shop_back": {`{"com.docker.compose.project": "shop", "com.docker.compose.network": "back", "com.docker.compose.version": "1.29.2"}`, container.ComposeNetwork{Project: "shop", Short: "back"}},
		"named":     {`{"com.docker.compose.project": "shop", "com.docker.compose.network": "back"}`, container.ComposeNetwork{Project: "shop", Short: "back"}},
		"shop_x_y":  {`{"com.docker.compose.project": "shop"}`, container.ComposeNetwork{Project: "shop", Short: "x_y"}},
		"other":     {`{"com.docker.compose.project": "shop"}`, container.ComposeNetwork{}},
		"_back":     {`{"com.docker.compose.network": "back"}`, container.ComposeNetwork{}},
		"plain":     {`{}`, container.ComposeNetwork{}},
		"long":      {`{"com.docker.compose.project": "shop", "com.docker.compose.network": "` + long + `xx"}`, container.ComposeNetwork{}},
	} {
		networks, err := answering(t, fmt.Appendf(nil, `[{"Id": "1", "Name": %q, "Labels": %s}]`, name, c.labels)).networks(t.Context())
		if err != nil || len(networks) != 1 || networks[0].Compose != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, networks, err, c.want)
		}
	}
}

// What the engine says of itself can't be read in part: it is watched all the same.
func TestHostileInfo(t *testing.T) {
	t.Parallel()
	const noTime = "info: SystemTime is not a time"
	for name, c := range map[string]struct {
		change     edit
		routed     bool
		unreadable string
	}{
		"time garbage":     {set("now", "SystemTime"), true, noTime},
		"huge time":        {set(strings.Repeat("x", 1<<20), "SystemTime"), true, noTime},
		"no time":          {without("SystemTime"), true, noTime},
		"time a number":    {set(7, "SystemTime"), true, "info: SystemTime is of type number; " + noTime},
		"of no use":        {set(map[string]any{"a": 7}, "Labels"), true, ""},
		"registries":       {set(map[string]any{"InsecureRegistryCIDRs": []any{"x", 7}}, "RegistryConfig"), true, ""},
		"options a number": {set(7, "SecurityOptions"), true, "info: SecurityOptions is of type number"},
		"an odd option":    {set([]any{7, "name=rootless"}, "SecurityOptions"), false, "info: SecurityOptions is of type number"},
		"version a number": {set(28, "ServerVersion"), true, "info: ServerVersion is of type number"},
		"all null": {func(o map[string]any) {
			for key := range o {
				o[key] = nil
			}
		}, true, noTime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t, enginetest.WithInfo(c.change))
			e.Run(enginetest.Spec{Name: "web"})
			w, r := watch(t, e, time.Hour)
			synced(t, r)
			waitStream(t, e)
			e.Run(enginetest.Spec{Name: "later"})
			r.waitNames(t, "later", "web")
			r.mu.Lock()
			defer r.mu.Unlock()
			if got := strings.Join(r.unreadable, "; "); got != c.unreadable || len(r.errors) != 0 || r.host.Routed != c.routed || !w.Current() {
				t.Errorf("unreadable %q, want %q; errors %v, routed %v, current %v", got, c.unreadable, r.errors, r.host.Routed, w.Current())
			}
		})
	}
}

// hostile has the engine spoilt while it is watched, and checks what must hold all the same.
func hostile(t *testing.T, spoil func(e *enginetest.Engine, victim string)) {
	t.Helper()
	e := enginetest.New(t)
	stays, victim := e.Run(enginetest.Spec{Name: "stays"}), e.Run(enginetest.Spec{Name: "victim"})
	_, r := watch(t, e, 20*time.Millisecond)
	synced(t, r)
	waitStream(t, e)

	spoil(e, victim)
	r.wait(t, "stays, untouched", func() bool {
		return !slices.Contains(r.history, "-"+stays) && r.containers[stays] != nil && addrs(r.containers[stays]) == "bridge="+e.IP(stays, "bridge").String()
	})

	e.ClearFaults()
	later := e.Run(enginetest.Spec{Name: "later"})
	r.wait(t, "right again", func() bool {
		for id, name := range map[string]string{stays: "stays", victim: "victim", later: "later"} {
			c := r.containers[id]
			if c == nil || c.Name != name || c.Health != container.HealthNone || addrs(c) != "bridge="+e.IP(id, "bridge").String() {
				return false
			}
		}
		return len(r.containers) == 3 && !slices.Contains(r.history, "-"+stays)
	})
}

func await(t *testing.T, wait func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := wait(ctx); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	if raw, ok := v.([]byte); ok {
		return raw
	}
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fetch reads what the engine answers.
func fetch(t *testing.T, e *enginetest.Engine, path string, into any) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(e.Host(), "unix://"))
	}}
	resp, err := (&http.Client{Transport: transport}).Get("http://engine" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
}
