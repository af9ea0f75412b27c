package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/miekg/dns"
)

// The members of a cluster whose health check is that they find each other become well, however health is treated.
func TestPeersFindEachOther(t *testing.T) {
	for _, health := range []string{"prefer", "require", "ignore"} {
		t.Run(health, func(t *testing.T) {
			t.Parallel()
			network := machine.servedNetwork(t)
			us := machine.gateway(t, network).String()
			s := serve(t, config{IP: us, Port: 53, Body: "docker " + zones + " {\nhealth " + health + "\n}"})
			project := "es" + suffix()
			name := "es." + project + ".docker."
			var ids, addrs []string
			status := func(id string) string { return machine.do(t, "inspect", "-f", "{{.State.Health.Status}}", id) }
			for i := range 3 { // each is unhealthy when the next one comes
				id := runConfigured(t, fmt.Sprint(project, "-", i), network, &container.Config{
					Image:       image,
					Labels:      map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": "es"},
					Healthcheck: &container.HealthConfig{Test: []string{"CMD", "/image", "find", us + ":53", name, "3"}, Interval: 500 * time.Millisecond, Retries: 1},
				})
				ids, addrs = append(ids, id), append(addrs, machine.addr(t, id))
				if i < 2 {
					within(t, 3*patience, func() error {
						checkHealth(t, id)
						if got := status(id); got != "unhealthy" {
							return fmt.Errorf("member %d is %s alone", i, got)
						}
						return nil
					})
				}
			}
			since := time.Now() // all have been healthy: they may take turns
			within(t, 6*patience, func() error {
				for i, id := range ids {
					checkHealth(t, id)
					if got := status(id); got != "healthy" {
						since = time.Now()
						return fmt.Errorf("member %d of %d is %s", i, len(ids), got)
					}
				}
				if all := time.Since(since); all < 3*time.Second {
					return fmt.Errorf("they have been healthy for %v", all)
				}
				return nil
			})
			s.soon(name, dns.TypeA, addrs...)
		})
	}
}

// A container's label comes before what the Corefile says of health.
func TestHealthLabel(t *testing.T) {
	t.Parallel()
	prefer := serve(t, config{Body: "docker docker."})
	require := serve(t, config{Body: "docker docker. {\nhealth require\n}"})
	for _, c := range []struct {
		label           string
		prefer, require bool // whether it answers while it is unhealthy
		together        bool // beside a healthy one
	}{{"", true, false, false}, {"prefer", true, true, false}, {"require", false, false, false}, {"ignore", true, true, true}} {
		name, pool := "ill-"+suffix(), "pool-"+suffix()
		labels := map[string]string{"coredns.dockerdiscovery.host": pool + ".docker."}
		if c.label != "" {
			labels["coredns.dockerdiscovery.health"] = c.label
		}
		id := runConfigured(t, name, "", &container.Config{Image: image, Labels: labels, Healthcheck: &container.HealthConfig{
			Test: []string{"CMD", "/image", "nonsense"}, Interval: 500 * time.Millisecond, Retries: 1,
		}})
		addr := machine.addr(t, id)
		well := machine.addr(t, machine.run(t, "--label", "coredns.dockerdiscovery.host="+pool+".docker."))
		within(t, 2*patience, func() error {
			checkHealth(t, id)
			if got := machine.do(t, "inspect", "-f", "{{.State.Health.Status}}", id); got != "unhealthy" {
				return fmt.Errorf("it is %s", got)
			}
			return nil
		})
		want := []string{well}
		if c.together {
			want = append(want, addr)
		}
		for s, answers := range map[*server]bool{prefer: c.prefer, require: c.require} {
			if answers {
				s.soon(name+".docker.", dns.TypeA, addr)
			} else {
				s.soon(name+".docker.", dns.TypeA, nodata)
			}
			s.soon(pool+".docker.", dns.TypeA, want...)
		}
	}
}
