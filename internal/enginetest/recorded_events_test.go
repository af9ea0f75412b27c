package enginetest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/events"
)

// The second half of record.sh's scenario, a step at a time.
func TestEventsAsRecorded(t *testing.T) {
	for _, f := range flavours {
		t.Run(f.String(), func(t *testing.T) {
			image := "rec-idle:1"
			if f == Podman {
				image = "docker.io/library/rec-idle:1"
			}
			e := New(t, WithFlavour(f))
			e.AddNetwork("rec-net")
			e.AddNetwork("rec-other")
			on := func(name string) Spec { return Spec{Name: name, Image: image, NetworkMode: "rec-net"} }
			health := func() {} // set from the recording
			drive := map[string]func(){
				"create": func() {
					s := on("rec-ev")
					s.Labels = map[string]string{"tier": "front"}
					e.Create(s)
				},
				"start":         func() { e.Start("rec-ev") },
				"connect":       func() { e.Connect("rec-ev", Attachment{Network: "rec-other"}) },
				"disconnect":    func() { e.Disconnect("rec-ev", "rec-other") },
				"rename":        func() { e.Rename("rec-ev", "rec-ev2") },
				"pause":         func() { e.Pause("rec-ev2") },
				"unpause":       func() { e.Unpause("rec-ev2") },
				"kill-hup":      func() { e.Kill("rec-ev2", "HUP") },
				"restart":       func() { e.Restart("rec-ev2") },
				"stop":          func() { e.Stop("rec-ev2") },
				"remove":        func() { e.Remove("rec-ev2") },
				"create-health": func() { e.Create(on("rec-ev3")) },
				"start-health":  func() { e.Start("rec-ev3"); health() },
				"kill-kill":     func() { e.Kill("rec-ev3", "KILL") },
				"start-again":   func() { e.Start("rec-ev3"); health() },
				"remove-force":  func() { e.Remove("rec-ev3") },

				"create-two":        func() { e.Create(on("rec-ev4")) },
				"connect-created":   func() { e.Connect("rec-ev4", Attachment{Network: "rec-other"}) },
				"start-two":         func() { e.Start("rec-ev4") },
				"exit-by-signal":    func() { e.Kill("rec-ev4", "TERM"); e.Exit("rec-ev4", 0) },
				"disconnect-exited": func() { e.Disconnect("rec-ev4", "rec-other") },
				"remove-exited":     func() { e.Remove("rec-ev4") },
				"create-host":       func() { e.Create(Spec{Name: "rec-ev5", Image: image, NetworkMode: "host"}) },
				"start-host":        func() { e.Start("rec-ev5") },
				"create-joined":     func() { e.Create(Spec{Name: "rec-ev6", Image: image, NetworkMode: "container:rec-ev5"}) },
				"start-joined":      func() { e.Start("rec-ev6") },
				"stop-joined":       func() { e.Stop("rec-ev6") },
				"stop-host":         func() { e.Stop("rec-ev5") },
				"network-create":    func() { e.AddNetwork("rec-third") },
				"network-remove":    func() { e.RemoveNetwork("rec-third") },
			}
			ctx, c := dial(t, e)
			r, err := c.HTTPClient().Get("http://d/events")
			check(t, err)
			defer r.Body.Close()
			check(t, e.WaitStreams(ctx, 1))
			stream := json.NewDecoder(r.Body)
			lines := append(recorded(t, f, "events.jsonl"), recorded(t, f, "events-more.jsonl")...)
			for _, line := range bytes.Split(bytes.TrimSpace(lines), []byte("\n")) {
				step := decode[struct {
					Step   string
					Events []object
				}](t, line)
				health = func() {}
				for _, ev := range step.Events {
					if status, ok := strings.CutPrefix(ev["Action"].(string), "health_status: "); ok {
						health = func() { e.SetHealth("rec-ev3", status) }
					}
				}
				drive[step.Step]()
				e.Emit("test", "end of step", "", nil)
				var got []object
				for {
					var ev object
					check(t, stream.Decode(&ev))
					if ev["Type"] == "test" {
						break
					}
					got = append(got, ev)
				}
				compare(t, step.Step, untimed(f, got), untimed(f, step.Events))
			}
		})
	}
}

// untimed drops the times, and Podman's stop event, which comes or not.
func untimed(f Flavour, list []object) (out []object) {
	for _, ev := range list {
		delete(ev, "time")
		delete(ev, "timeNano")
		if f == Podman && ev["Action"] == string(events.ActionStop) {
			continue
		}
		out = append(out, ev)
	}
	return out
}
