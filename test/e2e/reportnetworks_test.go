package e2e

import (
	"testing"
)

// containers on several networks.
var networkReports = map[string]situation{
	// A container has another alias on each network.
	"aliases-of-two-networks": {
		networks: []string{"net1%", "net2%"},
		docker:   true,
		run:      []string{"ps --network net1% --network-alias one% +net2%=two%", "n1 --network net1%", "n2 --network net2%"},
		asks: []string{
			"n1 one%.docker. A ps@net1%", "n2 two%.docker. A ps@net2%",
			"n1 two%.docker. A NODATA", "n2 one%.docker. A NODATA",
			"host one%.docker. A ps@net1%", "host two%.docker. A ps@net2%",
			"n1 two%.net2%.docker. A NODATA", "n2 two%.net2%.docker. A ps@net2%", "host one%.net2%.docker. A NXDOMAIN",
		},
	},
	// A host name and aliases with dots, in the zone, one below the other.
	"aliases-below-a-host-name": {
		networks: []string{"own%", "tier%"},
		docker:   true,
		run: []string{
			"httpd --hostname site.p%.docker --network own% +tier%=lp1.site.p%.docker",
			"other --network tier% --network-alias lp2.site.p%.docker",
			"ingress --network tier%",
		},
		asks: []string{
			"ingress site.p%.docker. A httpd@tier%", "ingress lp1.site.p%.docker. A httpd@tier%", "ingress lp2.site.p%.docker. A other",
			"ingress lp3.site.p%.docker. A NXDOMAIN", "ingress p%.docker. A NODATA",
			"host lp1.site.p%.docker. A httpd@tier%",
		},
	},
	// Both are on an internal network, and each on another one.
	"internal-network-shared": {
		networks: []string{"proxy%", "bnet%", "inner% --internal"},
		run:      []string{"a --network proxy% --network-alias a% +inner%=a%", "b --network bnet% +inner%"},
		asks: []string{
			"b a%.docker. A a@inner%", "a b%.docker. A b@inner%",
			"b a%.inner%.docker. A a@inner%", "a a%.docker. A a@inner% a@proxy%",
		},
	},
	// Names with the network's name, asked by who is on both.
	"name-and-network": {
		networks: []string{"blue%", "red%"},
		docker:   true,
		run:      []string{"one --network blue% --network-alias one%", "two --network red% --network-alias two%", "both --network blue% +red%"},
		asks: []string{
			"both one%.blue%.docker. A one", "both two%.red%.docker. A two", "both one%.red%.docker. A NXDOMAIN",
			"both one%.docker. A one", "both two%.docker. A two", "one two%.docker. A NODATA",
		},
	},
	// Services on the default bridge, where there are no aliases.
	"services-on-the-default-bridge": {
		run:  []string{"php" + ofService("p%", "php"), "web" + ofService("p%", "web")},
		asks: []string{"web php.p%.docker. A php", "web php%.docker. A php", "host php.p%.docker. A php"},
	},
	// The application has the network of its database's container.
	"network-of-the-database": {
		networks: []string{"dev%"},
		run:      []string{"db --network dev% --network-alias db%" + ofService("p%", "db"), "cache --network dev%" + ofService("p%", "cache")},
		then: func(t *testing.T, l *reported) {
			l.start(t, "app --network container:db%"+ofService("p%", "app"))
			for _, name := range []string{"app.p%", "db.p%", "app%", "db%"} {
				l.told(t, "cache "+name+".docker. A db")
			}
			l.told(t, "host app.p%.docker. A db")
			machine.do(t, "stop", "-t", "1", l.ids["db"]) // it takes the network away from the application
			l.told(t, "cache app.p%.docker. A NODATA")
		},
	},
	// Two jobs of a CI at the same time, each with a service of the same alias on a network of its own.
	"two-jobs-at-once": {
		networks: []string{"job1%", "job2%"},
		docker:   true,
		run: []string{
			"pg1 --network job1% --network-alias postgres%", "pg2 --network job2% --network-alias postgres%",
			"job1 --network job1%", "job2 --network job2%",
		},
		asks: []string{
			"job1 postgres%.docker. A pg1", "job2 postgres%.docker. A pg2",
			"host postgres%.docker. A NODATA", "lan postgres%.docker. A NODATA", "host postgres%.job1%.docker. A pg1",
		},
		then: func(t *testing.T, l *reported) { // the first one is done, and its network goes with it
			machine.do(t, "rm", "-f", l.ids["pg1"])
			machine.do(t, "rm", "-f", l.ids["job1"])
			machine.do(t, "network", "rm", l.text("job1%"))
			l.told(t, "job2 postgres%.docker. A pg2")
			l.told(t, "host postgres%.docker. A pg2")
		},
	},
	// A service of a CI's job has two aliases that are made of its image's name.
	"aliases-of-an-image": {
		networks: []string{"job%"},
		run:      []string{"wp --network job% --network-alias tutum__wp% --network-alias tutum-wp%", "job --network job%"},
		asks:     []string{"job tutum__wp%.docker. A wp", "job tutum-wp%.docker. A wp", "job tutum--wp%.docker. A wp"},
	},
	// A job that is on the default bridge asks for a server by its domain name, which is published.
	"published-server-from-another-network": {
		networks: []string{"gl%"},
		docker:   true,
		run:      []string{"git --network gl% --hostname git.p%.docker -p 80", "job"},
		asks:     []string{"job git.p%.docker. A gateway@job", "host git.p%.docker. A git", "lan git.p%.docker. A NODATA"},
	},
	// Containers on a network may not reach each other.
	"no-communication-between-containers": {
		networks: []string{"apart% --opt com.docker.network.bridge.enable_icc=false"},
		docker:   true,
		body:     "publish",
		run:      []string{"web --network apart% -p 80", "plain --network apart%", "proxy --network apart%"},
		asks: []string{
			"proxy web%.docker. A gateway@proxy", "proxy plain%.docker. A NODATA", "proxy proxy%.docker. A proxy",
			"host web%.docker. A web", "lan web%.docker. A lan",
		},
	},
	// Each replica has a name of its own besides the service's.
	"names-of-replicas": {
		networks: []string{"az%"},
		body:     "template \"{{.Service}}-{{.Number}}.{{.Project}}\"",
		run: []string{
			"e1 --network az% --name p%-exec-1 --label com.docker.compose.container-number=1" + ofService("p%", "exec"),
			"e2 --network az% --name p%-exec-2 --label com.docker.compose.container-number=2" + ofService("p%", "exec"),
		},
		asks: []string{
			"host p%-exec-1.docker. A e1", "host p%-exec-2.docker. A e2", "e1 exec-2.p%.docker. A e2", "e1 exec.p%.docker. A e1 e2",
		},
	},
	// A container of "compose run" with a name of its own beside the service's.
	"one-off-beside-its-service": {
		networks: []string{"web%"},
		run: []string{
			"web --network web% --network-alias web%" + ofService("p%", "web"),
			"watch --network web% --label com.docker.compose.oneoff=True" + ofService("p%", "web"),
		},
		asks: []string{"host watch%.docker. A watch", "host web.p%.docker. A web", "watch web.p%.docker. A web", "watch web%.docker. A web"},
	},
}
