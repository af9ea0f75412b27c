package examples

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func testRabbitMQ(t *testing.T) {
	e := open(t, "rabbitmq", docker0(t))
	image, err := theRun.RabbitMQImage(root)
	if err != nil {
		t.Fatal(err)
	}
	e.env = []string{"RABBITMQ_IMAGE=" + image}
	e.run()
	e.checkQueries()
	e.control()
}

// checkQueries looks in the log for what the README says of it: each further node asks for the
// first, and some for others by IDs, which are those others'.
func (e *example) checkQueries() {
	e.t.Helper()
	log := plain(e.logOf("coredns"))
	for _, want := range []string{
		`rabbitmq-mqnode-1 asked for rabbit-1\. A: rabbitmq-rabbit-1 NOERROR`,
		`rabbitmq-mqnode-2 asked for rabbit-1\. A: rabbitmq-rabbit-1 NOERROR`,
		`rabbitmq-mqnode-\d asked for [0-9a-f]{12}\. A: rabbitmq-mqnode-\d NOERROR`,
	} {
		if !regexp.MustCompile(want).MatchString(log) {
			e.t.Errorf("no line of the log matches %s", want)
		}
	}
}

// control starts the same cluster on the default bridge without our server: no node finds
// another.
func (e *example) control() {
	e.t.Helper()
	path := filepath.Join(e.dir, "compose.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		e.t.Fatal(err)
	}
	without := regexp.MustCompile(`(?m)^\s*dns: .*\n`).ReplaceAllLiteralString(string(content), "")
	if without == string(content) {
		e.t.Fatal("compose.yaml has no dns: to be taken out")
	}
	if err := os.WriteFile(path, []byte(without), 0o644); err != nil {
		e.t.Fatal(err)
	}
	e.do(step{command: "docker compose up -d --scale mqnode=2"})
	for _, node := range []string{"rabbit", "--index=1 mqnode", "--index=2 mqnode"} {
		ctl := "docker compose exec " + node + " rabbitmqctl "
		var status string
		e.eventually(func() error {
			_, complaint, err := e.output(step{command: ctl + "await_startup"})
			if err == nil {
				status, complaint, err = e.output(step{command: ctl + "cluster_status"})
			}
			if err != nil {
				return fmt.Errorf("%s: %w: %s", node, err, complaint)
			}
			return nil
		})
		_, running, _ := strings.Cut(colour.ReplaceAllString(status, ""), "\nRunning Nodes\n\n")
		running, _, _ = strings.Cut(running, "\n\n")
		if n := strings.Count(running, "rabbit@"); n != 1 {
			e.t.Errorf("without our server %s sees %d running nodes, want itself alone:\n%s", node, n, status)
		}
	}
	e.do(step{command: "docker compose down"})
}
