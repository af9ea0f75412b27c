package command

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// scripts are the templates of the shells' completion scripts, and of the function that two of them share.
//
//go:embed completion
var scripts embed.FS

// shells have a completion script.
var shells = []string{"bash", "zsh", "fish"}

// choices are words that can stand after a command or a flag, where these are known here.
var choices = map[string][]string{
	"completion": shells,
	"--from":     {"host", "lan"},
	"--skip":     checkNames(),
}

// init has completion among the commands: it lists them, so the table itself can't name it.
func init() {
	commands["completion"] = command{"one SHELL", 1, 1, nil, (*call).completion}
}

// completed is a command, the beginning of one, or a flag, with what can come after it.
type completed struct {
	Name  string
	Words []string // that a command takes or goes on with, or a flag's value
	Flags []string // of a command
	Begun bool     // the command goes on with one of the words
	Bool  bool     // a flag has no value
}

// completedCommands returns the commands, each after its beginnings, of which nothing is the first.
func completedCommands() (all []completed) {
	begun := map[string]int{} // by name, where it is in all
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(commands))...) {
		before := ""
		for word := range strings.FieldsSeq(name) {
			b := &all[begun[before]]
			if b.Begun = true; !slices.Contains(b.Words, word) {
				b.Words = append(b.Words, word)
			}
			if before = strings.TrimSpace(before + " " + word); before != name && begun[before] == 0 {
				begun[before] = len(all)
				all = append(all, completed{Name: before})
			}
		}
		all = append(all, completed{Name: name, Words: choices[name]})
	}
	return all
}

// programName is what can stand in a shell's script as it is.
var programName = regexp.MustCompile(`^[\w.+][\w.+-]*$`)

// completion prints the script by which the shell completes what stands after the program's name.
func (c *call) completion(context.Context, *client) int {
	shell := c.words[0]
	if !slices.Contains(shells, shell) {
		return c.fail(exitUsage, fmt.Errorf("there is no completion for '%s'; there is for %s", shell, strings.Join(shells, ", ")))
	}
	if !programName.MatchString(c.program) {
		return c.fail(exitUsage, fmt.Errorf("no shell completes the program's name '%s': want letters, digits, and . _ + - in it", c.program))
	}
	all := completedCommands()
	var flags []completed
	new(options).flagSet().VisitAll(func(f *flag.Flag) {
		name := "--" + f.Name
		boolean, ok := f.Value.(interface{ IsBoolFlag() bool })
		flags = append(flags, completed{Name: name, Words: choices[name], Bool: ok && boolean.IsBoolFlag()})
		for i := range all {
			if commands[all[i].Name].has(f.Name) {
				all[i].Flags = append(all[i].Flags, name)
			}
		}
	})
	t := template.Must(template.New("").Funcs(template.FuncMap{"join": strings.Join, "cut": strings.TrimPrefix, "fields": strings.Fields}).ParseFS(scripts, "completion/*"))
	var script strings.Builder
	if err := t.ExecuteTemplate(&script, shell, map[string]any{
		"Program":  c.program,
		"Function": regexp.MustCompile(`\W`).ReplaceAllString(c.program, "_"),
		"Commands": all,
		"Flags":    flags,
	}); err != nil {
		return c.fail(exitFound, err)
	}
	_, err := io.WriteString(c.out, script.String())
	if err != nil {
		return c.fail(exitFound, err)
	}
	return exitWell
}
