package resolver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Action is what is done about a file.
type Action string

// The actions.
const (
	Write  Action = "write"
	Keep   Action = "keep" // it is as it should be
	Remove Action = "remove"
	Edited Action = "edited" // since we wrote it: left as it is
	Taken  Action = "taken"  // by a file that we did not write, which is left as it is
)

// Step is one file of a plan.
type Step struct {
	Action Action
	System *System
	Path   string // from the root
	Text   string // with its head
	Wanted bool   // it is to be there in the end
	folder bool   // its folder was made for our files, and goes with the last one
}

// Plan returns how the machine comes to have these files of ours, and no others. The system may be nil where there are none.
func (m *Machine) Plan(s *System, t Target) ([]Step, error) {
	want := map[string]string{}
	if s != nil {
		want = s.files(t)
	}
	var all []Step
	for _, other := range systems[m.GOOS] {
		if other.pattern == "" {
			continue
		}
		paths, err := fs.Glob(m.Files(), other.pattern)
		if err != nil {
			return nil, err
		}
		folder := !m.exists(path.Dir(other.pattern))
		var steps []Step
		for _, p := range paths {
			text, is, made, err := m.look(p)
			if err != nil {
				return nil, err
			}
			folder = folder || made
			body, wanted := want[p]
			step := Step{Action: is, System: other, Path: p, Text: text, Wanted: wanted, folder: made}
			switch {
			case is == Taken && !wanted:
				continue
			case is == Keep && !wanted:
				step.Action = Remove
			case is == Keep && text != withHead(body, made):
				step.Action, step.Text = Write, withHead(body, made)
			}
			steps = append(steps, step)
		}
		for p, body := range want {
			if other == s && !slices.Contains(paths, p) {
				steps = append(steps, Step{Action: Write, System: s, Path: p, Text: withHead(body, folder), Wanted: true, folder: folder})
			}
		}
		slices.SortFunc(steps, func(a, b Step) int { return strings.Compare(a.Path, b.Path) })
		all = append(all, steps...)
	}
	return all, nil
}

// look says what a file is to us: Keep where we wrote it and it is as it was, else Edited or Taken; and whether its folder was made for it.
func (m *Machine) look(file string) (text string, is Action, folder bool, err error) {
	info, err := os.Lstat(m.path(file))
	if err != nil {
		return "", "", false, err
	}
	if !info.Mode().IsRegular() {
		return "", Taken, false, nil
	}
	b, err := m.read(file)
	if err != nil {
		return "", "", false, err
	}
	head := headForm.FindSubmatch(b)
	if head == nil {
		return string(b), Taken, false, nil
	}
	folder = len(head[1]) > 0
	if string(b) != withHead(string(b[len(head[0]):]), folder) {
		return string(b), Edited, folder, nil
	}
	return string(b), Keep, folder, nil
}

var headForm = regexp.MustCompile(`^# Written by 'docker resolver install' of dockerdiscovery\. 'docker resolver remove' removes it(, and its folder)?, unless it is edited: [0-9a-f]+\n`)

// withHead returns a file's text with a first line by which it is known for ours, and for unchanged.
func withHead(body string, folder bool) string {
	with := ""
	if folder {
		with = ", and its folder"
	}
	return fmt.Sprintf("# Written by 'docker resolver install' of dockerdiscovery. 'docker resolver remove' removes it%s, unless it is edited: %x\n%s",
		with, sha256.Sum256([]byte(with+body)), body)
}

// path returns where a file is on the machine that we run on.
func (m *Machine) path(file string) string { return filepath.Join(m.Root, filepath.FromSlash(file)) }

// Do does a step.
func (m *Machine) Do(s Step) error {
	switch s.Action {
	case Write:
		return m.write(s)
	case Remove:
		if err := os.Remove(m.path(s.Path)); err != nil {
			return err
		}
		if s.folder {
			if err := os.Remove(m.path(path.Dir(s.Path))); err != nil && !errors.Is(err, fs.ErrExist) { // with others' files in it, it stays
				return err
			}
		}
	}
	return nil
}

// write writes a file so that nobody reads half of it.
func (m *Machine) write(s Step) (err error) {
	folder := m.path(path.Dir(s.Path))
	if err := os.Mkdir(folder, 0o755); err == nil {
		err = os.Chmod(folder, 0o755) // whatever the umask is
		if err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.CreateTemp(folder, ".dockerdiscovery-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.WriteString(s.Text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), m.path(s.Path))
}

// Reloads returns the resolvers that have to read their files anew, those too whose files are as they should be: an earlier
// reload may have failed. Kinds that are reloaded by one command stand there once.
func Reloads(steps []Step) (all []*System) {
	for _, s := range steps {
		if s.Action == Edited || s.Action == Taken || s.System.reload == nil {
			continue
		}
		if !slices.ContainsFunc(all, func(o *System) bool { return slices.Equal(o.reload, s.System.reload) }) {
			all = append(all, s.System)
		}
	}
	return all
}

// Command is the reload as one types it.
func (s *System) Command() string { return strings.Join(s.reload, " ") }

// Reloadable reports whether the reload can be run: what it speaks to runs here.
func (m *Machine) Reloadable(s *System) bool { return m.exists(s.where) }

// Reload has the resolver read its files anew.
func (m *Machine) Reload(ctx context.Context, s *System) error {
	_, err := m.Run(ctx, s.reload[0], s.reload[1:]...)
	return err
}
