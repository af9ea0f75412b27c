package engine

import (
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/internal/enginetest"
)

// What a health check and people at a shell do is not heard of, where the engine can leave it out. All else is.
func TestWantedEvents(t *testing.T) {
	for flavour, first := range map[enginetest.Flavour]string{
		enginetest.Docker2010: "health_status", enginetest.Docker28: "health_status", enginetest.Podman: "exec_create",
	} {
		t.Run(flavour.String(), func(t *testing.T) {
			t.Parallel()
			e := enginetest.New(t, enginetest.WithFlavour(flavour))
			web := e.Run(enginetest.Spec{Name: "web", Health: "healthy"})
			d, err := dial(Endpoint{Host: e.Host()}, "", newRecorder())
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			if _, err := d.info(t.Context()); err != nil {
				t.Fatal(err)
			}
			stream, err := d.events(t.Context(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, action := range []string{"exec_create: /check", "exec_start: /check", "exec_die"} {
				e.Emit("container", action, web, nil)
			}
			e.SetHealth(web, "unhealthy")
			if got, err := stream.next(t.Context()); err != nil || got.Action != first {
				t.Errorf("first comes %s, %v; want %s", got.Action, err, first)
			}
		})
	}
}
