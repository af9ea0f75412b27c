package e2e

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

const ill = " --health-cmd false --health-interval 100ms --health-retries 1 --health-timeout 5s "

// clusters whose members find each other by name.
var clusterReports = map[string]situation{
	// A discovery by DNS takes the addresses of one name, and from each one's PTR the node's name, which must be the node's own.
	"rabbitmq-dns-discovery": {
		networks: []string{"mq%"},
		body:     "names hostname compose",
		run: []string{
			"r1 --network mq% --hostname r1.p%.docker" + ofService("p%", "rabbit"),
			"r2 --network mq% --hostname r2.p%.docker" + ofService("p%", "rabbit"),
			"r3 --network mq% --hostname r3.p%.docker" + ofService("p%", "rabbit"),
		},
		asks: []string{"r1 rabbit.p%.docker. A r1 r2 r3", "r2 r3.p%.docker. A r3"},
		then: func(t *testing.T, l *reported) {
			for _, node := range []string{"r1", "r2", "r3"} {
				l.told(t, "r1 "+reverse(t, l.means(t, node))+" PTR "+node+".p%.docker.")
			}
		},
	},
	// A seed is asked for before it has been started.
	"elasticsearch-seed-not-there-yet": {
		networks: []string{"es%"},
		run:      []string{"es01 --network es% --network-alias es01%"},
		asks:     []string{"es01 es02%.docker. A NXDOMAIN"},
		then: func(t *testing.T, l *reported) {
			soa, _ := l.ask(l.text("es02%.docker."), dns.TypeA).Ns[0].(*dns.SOA)
			if soa == nil || min(soa.Hdr.Ttl, soa.Minttl) > 5 {
				t.Errorf("that it is not there may be kept for longer than 5 s: %v", soa)
			}
			l.start(t, "es02 --network es% --network-alias es02%")
			l.told(t, "es01 es02%.docker. A es02")
		},
	},
	// A member must know itself before its health check says well, which it does only when it has.
	"minio-finds-itself-while-ill": {
		networks: []string{"s3%"},
		run: []string{
			"m1 --network s3% --network-alias minio1%" + ill + ofService("p%", "minio1"),
			"m2 --network s3% --network-alias minio2%" + ill + ofService("p%", "minio2"),
		},
		then: func(t *testing.T, l *reported) {
			for _, id := range l.ids {
				unwell(t, id)
			}
			for _, who := range []string{"m1", "m2"} {
				l.told(t, who+" minio1%.docker. A m1")
				l.told(t, who+" minio2.p%.docker. A m2")
			}
		},
	},
	"minio-finds-itself-where-health-is-required": {
		networks: []string{"s3%"},
		body:     "health require",
		run: []string{
			"m1 --network s3% --network-alias minio1%" + ill + ofService("p%", "minio1"),
			"m2 --network s3% --network-alias minio2% --label coredns.dockerdiscovery.health=ignore" + ill + ofService("p%", "minio2"),
			"m3 --network s3% --network-alias minio3%" + ill,
		},
		then: func(t *testing.T, l *reported) {
			for _, id := range l.ids {
				unwell(t, id)
			}
			for _, question := range []string{
				"m1 minio1%.docker. A m1", "m1 minio1.p%.docker. A m1", // itself
				"m3 minio3%.docker. A m3", "m3 m3%.docker. A m3", "m3 minio3%.s3%.docker. A m3",
				"m2 minio1%.docker. A NODATA", // as required
				"m1 minio2%.docker. A m2",     // its label has it ignored
				"host minio3%.docker. A NODATA",
			} {
				l.told(t, question)
			}
		},
	},
	// Services with a number and an underscore in their names, which are their host names too: each name is one member's.
	"minio-names-with-underscores": {
		networks: []string{"s3%"},
		run: []string{
			"a --network s3% --hostname store_%_1 --network-alias store_%_1" + ofService("p%", "store_%_1"),
			"b --network s3% --hostname store_%_2 --network-alias store_%_2" + ofService("p%", "store_%_2"),
		},
		asks: []string{
			"b store_%_1.docker. A a", "a store_%_2.docker. A b", "a store-%-2.docker. A b", "host store_%_1.docker. A a",
			"b store-%-1.p%.docker. A a",
		},
	},
	// While the master is stopped, its name is nobody else's.
	"redis-master-stopped": {
		networks: []string{"db%"},
		body:     "hold 9s",
		run: []string{
			"master --network db% --network-alias redis%" + ofService("p%", "redis"),
			"slave --network db% --network-alias redis-slave%" + ofService("p%", "redis-slave"),
			"sentinel --network db%" + ofService("p%", "sentinel"),
		},
		asks: []string{"sentinel redis%.docker. A master"},
		then: func(t *testing.T, l *reported) {
			machine.do(t, "stop", "-t", "1", l.ids["master"])
			l.told(t, "sentinel redis%.docker. A NODATA")
			l.told(t, "sentinel redis%.docker. A NXDOMAIN")
			l.told(t, "sentinel redis-slave%.docker. A slave")
			machine.do(t, "start", l.ids["master"])
			l.told(t, "sentinel redis%.docker. A master")
		},
	},
	// A broker that is made anew has another ID: whoever noted that must not be led to another's.
	"kafka-made-anew": {
		networks: []string{"kf%"},
		body:     "hold 0s",
		run:      []string{"broker --network kf% --network-alias kafka%", "client --network kf%"},
		then: func(t *testing.T, l *reported) {
			old := l.ids["broker"][:12]
			l.told(t, "client "+old+".docker. A broker")
			machine.do(t, "rm", "-f", l.ids["broker"])
			l.start(t, "broker --network kf% --network-alias kafka%")
			l.told(t, "client kafka%.docker. A broker")
			l.told(t, "client "+l.ids["broker"][:12]+".docker. A broker")
			l.told(t, "client "+old+".docker. A NXDOMAIN")
		},
	},
	// Domains by labels, which are mixed up after all have been stopped and started in another order.
	"domains-after-another-order": {
		networks: []string{"web%"},
		run: []string{
			"a --network web% --label coredns.dockerdiscovery.host=a%.dev",
			"b --network web% --label coredns.dockerdiscovery.host=b%.dev",
			"c --network web% --label coredns.dockerdiscovery.host=c%.dev",
		},
		then: func(t *testing.T, l *reported) {
			machine.do(t, "stop", "-t", "1", l.ids["a"], l.ids["b"], l.ids["c"])
			for _, key := range []string{"c", "b", "a"} {
				machine.do(t, "start", l.ids[key])
			}
			for _, key := range []string{"a", "b", "c"} {
				l.told(t, "host "+key+"%.dev.docker. A "+key)
				l.told(t, "a "+key+"%.dev.docker. A "+key)
				l.told(t, "host "+reverse(t, l.means(t, key))+" PTR "+key+"%.docker.")
			}
		},
	},
	// The first process is killed, and the restart policy starts the container anew.
	"restarted-by-its-policy": {
		networks: []string{"web%"},
		run:      []string{"a --network web% --restart always --label coredns.dockerdiscovery.host=foo%", "b --network web%"},
		asks:     []string{"b foo%.docker. A a"},
		then: func(t *testing.T, l *reported) {
			before := machine.inspect(t, l.ids["a"])
			if err := syscall.Kill(before.State.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() error {
				if now := machine.inspect(t, l.ids["a"]); !now.State.Running || now.State.Restarting || now.State.Pid == before.State.Pid {
					return fmt.Errorf("it is not restarted: %+v", now.State)
				}
				return nil
			})
			l.told(t, "b foo%.docker. A a")
			l.told(t, "host a%.docker. A a")
		},
	},
}

// unwell waits until a container's health check has failed.
func unwell(t *testing.T, id string) {
	t.Helper()
	eventually(t, func() error {
		checkHealth(t, id)
		if is := machine.do(t, "inspect", "-f", "{{.State.Health.Status}}", id); is != "unhealthy" {
			return fmt.Errorf("%.12s is %s", id, is)
		}
		return nil
	})
}
