package examples

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockerdiscovery/dockerdiscovery/test/rig"
)

// patience is how long an example may take to come to what its README shows: a RabbitMQ
// node's start takes its time on a machine with much else to do.
const patience = 5 * time.Minute

// root is the repository's.
const root = "../.."

// example is a folder of examples/, of which a copy is run. In the copy, addresses that the user
// is told to replace are, and the Compose projects' networks carry the run's mark.
type example struct {
	t        *testing.T
	name     string
	dir      string              // of the copy
	known    bindings            // also of addresses in the example's files
	places   map[string][]string // the command that takes a command to where it is to run, if not here
	before   map[string]func()   // what is to be done before the first command of a place
	projects []string            // of Compose
	env      []string
	servers  []server
}

// open copies an example. The addresses are this machine's by what the example calls them.
func open(t *testing.T, name string, addrs bindings, projects ...string) *example {
	t.Helper()
	e := &example{t: t, name: name, dir: filepath.Join(theRun.Folder, name), known: addrs, places: map[string][]string{}, projects: projects}
	if len(projects) == 0 {
		e.projects = []string{name}
	}
	for _, project := range e.projects {
		out, err := rig.Docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+project)
		if err != nil || out != "" {
			t.Fatalf("the example makes a Compose project %s, and there is one: %v %s", project, err, out)
		}
	}
	from := filepath.Join(root, "examples", name)
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "README.md" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(e.dir, strings.TrimPrefix(path, from))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(e.adapt(path, string(content))), info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.remove)
	return e
}

// adapt is what a file of the example says in the copy.
func (e *example) adapt(path, content string) string {
	for _, token := range chosen.FindAllString(content, -1) {
		if _, ok := e.known[token]; !ok {
			e.known[token] = token
		}
	}
	content = e.known.apply(content)
	if filepath.Ext(path) == ".yaml" {
		if !strings.Contains(content, "\nnetworks:\n") {
			content += "\nnetworks:\n  default:\n"
		}
		services, networks, _ := strings.Cut(content, "\nnetworks:\n")
		mark := fmt.Sprintf("$0\n    labels:\n      %s: %q", rig.Mark, theRun.ID)
		content = services + "\nnetworks:\n" + network.ReplaceAllString(networks, mark)
	}
	return content
}

// network finds the networks in that part of a Compose file, which is its last.
var network = regexp.MustCompile(`(?m)^  [a-z]+:$`)

// remove removes what the projects have left.
func (e *example) remove() {
	for _, project := range e.projects {
		label := "label=com.docker.compose.project=" + project
		for _, kind := range []struct{ list, remove []string }{
			{[]string{"ps", "-aq"}, []string{"rm", "-f", "-v"}},
			{[]string{"network", "ls", "-q"}, []string{"network", "rm"}},
		} {
			left, err := rig.Docker(append(kind.list, "--filter", label)...)
			if err == nil && left != "" {
				left, err = rig.Docker(append(kind.remove, strings.Fields(left)...)...)
			}
			if err != nil {
				e.t.Errorf("removing project %s: %s", project, left)
			}
		}
	}
}

// run does what the example's README says, and compares what comes of it with what the README shows.
func (e *example) run() {
	e.t.Helper()
	e.follow(filepath.Join(root, "examples", e.name, "README.md"))
}

// follow does what a page says.
func (e *example) follow(page string) {
	e.t.Helper()
	for _, s := range steps(e.t, page) {
		if before := e.before[s.place]; before != nil {
			before()
			delete(e.before, s.place)
		}
		if s.place == serving || strings.HasPrefix(s.place, serving+" ") {
			e.serve(s.place, s.command)
		} else {
			e.do(s)
		}
	}
}

// do runs a step's command until it has printed what the README shows. One that prints
// nothing must also succeed.
func (e *example) do(s step) {
	e.t.Helper()
	begin := time.Now()
	for try := 1; ; try++ {
		e.checkServers()
		stdout, stderr, err := e.output(s)
		if try > 1 && err != nil && rig.IsDone(stderr) {
			e.t.Logf("%s: done by the try before: %s", s.command, stderr)
			return
		}
		known, same := e.known.match(s.shown, lines(stdout))
		if same && (err == nil || len(s.shown) > 0) {
			e.known = known
			e.t.Logf("%s: as shown, after %v", s.command, time.Since(begin).Round(10*time.Millisecond))
			return
		}
		if time.Since(begin) > patience {
			e.t.Fatalf("$ %s\nprinted, for all of %v (%v):\n%s\nthe README shows:\n%s\nthe complaint:\n%s",
				e.known.apply(s.command), patience, err, stdout, strings.Join(s.shown, "\n"), stderr)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// output runs a step's command once.
func (e *example) output(s step) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	command := e.command(s.place, s.command)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var out, complaint bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = e.dir, e.environ(), &out, &complaint
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	return out.String(), complaint.String(), err
}

func (e *example) environ() []string {
	return slices.Concat(os.Environ(), []string{theRun.Environ(), "BUSYBOX_IMAGE=" + busybox}, e.env)
}

var (
	// serverBinary finds the server as a user has built it in the repository's root.
	serverBinary = regexp.MustCompile(`(?:\.\./\.\.|\.)/coredns\b`)
	// marking finds what makes containers and networks without Compose.
	marking = regexp.MustCompile(`\bdocker (?:run|network create)\b`)
	// nginx finds a container of the public image. Its ID, which the engine prints, is another each time.
	nginx = regexp.MustCompile(`^(docker run -d .*) nginx$`)
)

// command is what a user types, as it is run here: with this run's addresses, by root, by the
// Docker Compose that there is, without a terminal.
func (e *example) command(place, typed string) []string {
	line := e.known.apply(typed)
	line = strings.ReplaceAll(line, "sudo ", "")
	line = serverBinary.ReplaceAllString(line, binary)
	line = nginx.ReplaceAllString(line, "$1 "+busybox+" sleep 1h >/dev/null")
	line = marking.ReplaceAllString(line, "$0 --label "+theRun.Label())
	return slices.Concat(e.places[place], []string{"sh", "-c", rig.ComposeLine(line)})
}

// server is a command that runs until the test's end.
type server struct {
	*rig.Process
	typed string
}

// serve starts a server at the place. CoreDNS is waited for.
func (e *example) serve(place, typed string) {
	e.t.Helper()
	command := e.command(place, "exec "+strings.TrimPrefix(typed, "sudo "))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = e.dir, e.environ()
	p, err := rig.Start(cmd)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		err := p.Stop(30 * time.Second)
		status, _ := p.Cmd.ProcessState.Sys().(syscall.WaitStatus)
		if asked := status.Signaled() && status.Signal() != syscall.SIGKILL; err != nil && !asked { // etcd ends by the signal that asks it to
			e.t.Error(err)
		}
		if e.t.Failed() {
			e.t.Logf("%s said:\n%s", typed, p.Log)
		}
	})
	e.servers = append(e.servers, server{p, typed})
	if strings.Contains(typed, "coredns") {
		e.eventually(p.Listens)
	}
}

// end ends the server whose command has the word, as Ctrl-C does.
func (e *example) end(word string) {
	e.t.Helper()
	i := e.find(word)
	if err := e.servers[i].Signal(os.Interrupt); err != nil {
		e.t.Fatal(err)
	}
	<-e.servers[i].Exited
	e.servers = slices.Delete(e.servers, i, i+1)
}

// logOf is what the server has said whose command has the word.
func (e *example) logOf(word string) string {
	e.t.Helper()
	return e.servers[e.find(word)].Log.String()
}

// find returns which of the servers is the one whose command has the word.
func (e *example) find(word string) int {
	e.t.Helper()
	i := slices.IndexFunc(e.servers, func(s server) bool { return strings.Contains(s.typed, word) })
	if i < 0 {
		e.t.Fatalf("no server %s", word)
	}
	return i
}

func (e *example) checkServers() {
	e.t.Helper()
	for _, s := range e.servers {
		if err := s.Alive(); err != nil {
			e.t.Fatalf("%s: %v", s.typed, err)
		}
	}
}

// eventually waits until check holds.
func (e *example) eventually(check func() error) {
	e.t.Helper()
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		e.checkServers()
		err := check()
		if err == nil {
			return
		}
		if time.Since(begin) > patience {
			e.t.Fatalf("not within %v: %v", patience, err)
		}
	}
}
