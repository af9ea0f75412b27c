// Package command is the binary's sub-command: what the server says of names and containers, in a terminal, what is wrong
// with the machine around it, and what has the machine's resolver ask the server.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dockerdiscovery/dockerdiscovery/internal/status"
)

// Exit codes, which the usage tells.
const (
	exitWell     = 0
	exitFound    = 1
	exitUsage    = 2
	exitNoServer = 3
)

// usage is what --help prints, with PROGRAM for how the binary is called.
const usage = `PROGRAM docker tells what the server knows of containers, and why a name has its answer.

    PROGRAM docker explain NAME            why NAME, or an address, has its answer
    PROGRAM docker names                   all names, with what they answer
    PROGRAM docker containers [CONTAINER]  all containers, or what became of one's names
    PROGRAM docker hosts                   the engines: current, away, their last errors
    PROGRAM docker doctor                  what is wrong with the server and this machine
    PROGRAM docker health                  whether the server answers by DNS
    PROGRAM docker resolver install        have this machine's resolver ask the server
    PROGRAM docker resolver status         which resolver that is, and whether it does
    PROGRAM docker resolver remove         undo what install has done
    PROGRAM docker completion SHELL        the script by which bash, zsh or fish completes these

The first four ask a server that runs with the property status in its docker block; the others
can do without.
Flags may stand before and after all words:

    --status ADDRESS  where status listens, HOST:PORT or unix:///PATH; else ` + status.DefaultAddress + `
    --json            for programs
    --from ASKER      who asks, of explain and names: host, the Docker host itself; lan, who
                      is elsewhere; an address; a container's name or ID; or a host's NAME;
                      else host
    --type TYPE       of the records that explain is asked for: A, AAAA, PTR, SRV ...; else A
    --block KEY       the server block, by its first key, where there are several
    --search TEXT     of names and containers, those rows alone that have the text
    --after ROW       of names and containers, the rows after this one
    --skip CHECK,...  what doctor is not to look at, as it calls that
    --dns ADDRESS     of health, where the server is asked, as 127.0.0.1:1053; else what status
                      tells, and 127.0.0.1:53 without it
    --zone ZONE       of install, for which the server is to be asked, several times for several;
                      of health, of which it is asked; else what status tells, and docker
                      without it
    --server ADDRESS  of install, where it is to be asked, as 127.0.0.1:1053; else what status
                      tells
    --dry-run         of install and remove, say what would be done and change nothing

The exit code is
    0  the name has an answer, or nothing is wrong
    1  it has none, there is no such thing, or something is wrong
    2  the command is not understood
    3  the server can't be asked
`

// call is one use of the command.
type call struct {
	program  string // how the binary is called
	name     string // of the command
	words    []string
	options  options
	out, err io.Writer
}

// options are what flags say.
type options struct {
	status, from, kind, block, search, after, skip, dns, server string
	zones                                                       []string
	json, dryRun                                                bool
}

// command is one of the commands.
type command struct {
	takes       string   // words
	least, most int      // so many
	flags       []string // beside status and json
	run         func(*call, context.Context, *client) int
}

// has reports whether the command has the flag.
func (c command) has(flag string) bool {
	return flag == "status" || flag == "json" || slices.Contains(c.flags, flag)
}

// commands are the commands by name.
var commands = map[string]command{
	"explain":    {"one NAME", 1, 1, []string{"type", "from", "block"}, (*call).explain},
	"names":      {"nothing", 0, 0, []string{"from", "block", "search", "after"}, (*call).names},
	"containers": {"one CONTAINER at most", 0, 1, []string{"block", "search", "after"}, (*call).containers},
	"hosts":      {"nothing", 0, 0, []string{"block"}, (*call).hosts},
	"doctor":     {"nothing", 0, 0, []string{"skip"}, (*call).doctor},
	"health":     {"nothing", 0, 0, []string{"dns", "zone"}, (*call).health},

	"resolver install": {"nothing", 0, 0, []string{"zone", "server", "dry-run"}, (*call).resolverInstall},
	"resolver status":  {"nothing", 0, 0, nil, (*call).resolverStatus},
	"resolver remove":  {"nothing", 0, 0, []string{"dry-run"}, (*call).resolverRemove},
}

// Run does what the arguments say, which are those after "docker", and returns the exit code. Program is how the binary is called.
func Run(program string, args []string, out, errs io.Writer) int {
	c := &call{program: program, out: out, err: errs}
	switch err := c.parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, strings.ReplaceAll(usage, "PROGRAM", program))
		return exitWell
	case err != nil:
		return c.fail(exitUsage, fmt.Errorf("%w; see '%s docker --help'", err, program))
	}
	client, err := newClient(c.options.status)
	if err != nil {
		return c.fail(exitUsage, err)
	}
	return commands[c.name].run(c, context.Background(), client)
}

// flagSet returns all commands' flags, which set the options.
func (o *options) flagSet() *flag.FlagSet {
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.status, "status", status.DefaultAddress, "")
	f.BoolVar(&o.json, "json", false, "")
	for name, value := range map[string]*string{"type": &o.kind, "from": &o.from, "block": &o.block, "search": &o.search, "after": &o.after, "skip": &o.skip, "dns": &o.dns, "server": &o.server} {
		f.StringVar(value, name, "", "")
	}
	f.BoolVar(&o.dryRun, "dry-run", false, "")
	f.Func("zone", "", func(z string) error {
		o.zones = append(o.zones, z)
		return nil
	})
	return f
}

// parse reads the words and the flags, which stand anywhere among them.
func (c *call) parse(args []string) error {
	f := c.options.flagSet()
	for {
		if err := f.Parse(args); err != nil {
			return err
		}
		if f.NArg() == 0 {
			break
		}
		c.words, args = append(c.words, f.Arg(0)), f.Args()[1:]
	}
	if len(c.words) == 0 {
		return flag.ErrHelp
	}
	c.name, c.words = c.words[0], c.words[1:]
	if c.name == "resolver" {
		if len(c.words) == 0 {
			return errors.New("resolver goes on with install, status or remove")
		}
		c.name, c.words = c.name+" "+c.words[0], c.words[1:]
	}
	command, ok := commands[c.name]
	if !ok {
		return fmt.Errorf("there is no '%s'", c.name)
	}
	var err error
	f.Visit(func(f *flag.Flag) {
		if !command.has(f.Name) {
			err = fmt.Errorf("%s has no --%s", c.name, f.Name)
		}
	})
	if n := len(c.words); n < command.least || n > command.most {
		err = fmt.Errorf("%s takes %s, not %q", c.name, command.takes, c.words)
	}
	return err
}

// fail prints what is wrong.
func (c *call) fail(code int, err error) int {
	fmt.Fprintf(c.err, "%s docker: %v\n", c.program, err)
	return code
}
