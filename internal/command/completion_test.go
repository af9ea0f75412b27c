package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions prints, in each shell, what the shell offers at the end of the words, a line each. The first argument is the
// script, and the others are the words.
var completions = map[string]string{
	"bash": `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dns; printf '%s\n' "${COMPREPLY[@]}"`,
	// zsh's own compadd works in an editor alone.
	"zsh": `
		compdef() { :; }
		_files() { :; }
		compadd() { [[ $1 != -- ]] || shift; print -l -- ${(M)@:#${words[CURRENT]}*}; }
		source "$1"; shift; words=("$@"); CURRENT=$#; _dns`,
	"fish": `source $argv[1]; complete -C "$argv[2..]"`,
}

// installed returns the shell's path, or skips the test.
func installed(t *testing.T, shell string) string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skipf("%s is not installed: %v", shell, err)
	}
	return path
}

// script writes the shell's completion script to a file, and returns that.
func script(t *testing.T, shell string) string {
	t.Helper()
	out, errs, code := run("completion", shell)
	if code != exitWell || errs != "" {
		t.Fatalf("completion %s: code %d, %q", shell, code, errs)
	}
	file := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Each shell offers the commands, their flags and what can follow these.
func TestCompletes(t *testing.T) {
	all := strings.Join(allCommands(), " ")
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			completes(t, shell, []completion{
				{"dns do", "docker"},
				{"dns -c", ""},
				{"dns docker ", all},
				{"dns docker e", "explain"},
				{"dns docker --", "--json --status"},
				{"dns docker --json ", all},
				{"dns docker --status localhost:1 ho", "hosts"},
				{"dns docker --status ", ""},
				{"dns docker explain ", ""},
				{"dns docker explain web.docker --", "--block --from --json --status --type"},
				{"dns docker names --s", "--search --status"},
				{"dns docker explain --from ", "host lan"},
				{"dns docker names --from l", "lan"},
				{"dns docker names --from lan --search ", ""},
				{"dns docker doctor --skip ", strings.Join(checkNames(), " ")},
				{"dns docker doctor --skip re", "resolver resolvconf"},
				{"dns docker doctor --f", ""},
				{"dns docker resolver ", "install remove status"},
				{"dns docker resolver install --", "--dry-run --json --server --status --zone"},
				{"dns docker resolver remove --", "--dry-run --json --status"},
				{"dns docker resolver install --zone docker --d", "--dry-run"},
				{"dns docker completion ", "bash fish zsh"},
				{"dns docker completion --", "--json --status"},
			})
		})
	}
}

// A command of several words is offered word by word.
func TestCompletesWordByWord(t *testing.T) {
	for name, flags := range map[string][]string{"lantern light": {"from"}, "lantern snuff": {"skip"}} {
		commands[name] = command{"nothing", 0, 0, flags, nil}
		t.Cleanup(func() { delete(commands, name) })
	}
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			completes(t, shell, []completion{
				{"dns docker la", "lantern"},
				{"dns docker lantern ", "light snuff"},
				{"dns docker lantern s", "snuff"},
				{"dns docker lantern --json s", "snuff"},
				{"dns docker lantern --", "--json --status"},
				{"dns docker lantern light --", "--from --json --status"},
				{"dns docker lantern snuff --s", "--skip --status"},
				{"dns docker explain lantern --s", "--status"},
			})
		})
	}
}

// completion is what is to be offered at the end of the words.
type completion struct{ words, want string }

// completes checks that the shell takes its script, and offers what is wanted.
func completes(t *testing.T, shell string, cases []completion) {
	path, file := installed(t, shell), script(t, shell)
	if out, err := exec.Command(path, "-n", file).CombinedOutput(); err != nil {
		t.Fatalf("%s -n: %v\n%s", shell, err, out)
	}
	for _, c := range cases {
		words := strings.Split(c.words, " ")
		cmd := exec.Command(path, append([]string{"-c", completions[shell], "test", file}, words...)...)
		if shell == "fish" { // which has no $0, and takes a line
			cmd = exec.Command(path, "--no-config", "-c", completions[shell], file, c.words)
		}
		cmd.Dir = t.TempDir() // no files to offer
		out, err := cmd.CombinedOutput()
		if err != nil && c.want != "" { // a shell may fail where there is nothing
			t.Errorf("%s: %v", c.words, err)
		}
		got := offered(string(out), words[len(words)-1])
		want := strings.Fields(c.want)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: offers %q, want %q", c.words, got, want)
		}
	}
}

// allCommands returns the commands that the usage has, which is written by hand.
func allCommands() (names []string) {
	for _, line := range strings.Split(usage, "\n") {
		if words := strings.Fields(line); strings.HasPrefix(line, "    PROGRAM docker ") && !slices.Contains(names, words[2]) {
			names = append(names, words[2])
		}
	}
	return names
}

// offered returns the words of the output in order, without fish's descriptions, and without the flags that fish offers only
// to who has begun to write one.
func offered(out, word string) (words []string) {
	for _, line := range strings.Split(out, "\n") {
		candidate, _, _ := strings.Cut(line, "\t")
		if candidate != "" && (strings.HasPrefix(word, "-") || !strings.HasPrefix(candidate, "-")) {
			words = append(words, candidate)
		}
	}
	slices.Sort(words)
	return words
}

// A shell that has no script is named with those that have.
func TestNoCompletion(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"completion", "completion takes one SHELL"},
		{"completion tcsh", "there is no completion for 'tcsh'; there is for bash, zsh, fish"},
		{"completion ../bash", "there is no completion for '../bash'"},
		{"completion bash --from lan", "completion has no --from"},
	} {
		out, errs, code := run(strings.Fields(c.args)...)
		if out != "" || code != exitUsage || !strings.Contains(errs, c.want) {
			t.Errorf("%s: code %d, prints %q and %q; want %q", c.args, code, out, errs, c.want)
		}
	}
}

// A program's name that a shell would take for something else is refused; all others make a name of a function.
func TestCompletionOfNames(t *testing.T) {
	for program, want := range map[string]string{
		"dockerdiscovery": "_dockerdiscovery dockerdiscovery",
		"coredns-1.2":     "_coredns_1_2 coredns-1.2",
		"core dns":        "",
		"$(id)":           "",
		"-rf":             "",
	} {
		var out, errs strings.Builder
		code := Run(program, []string{"completion", "bash"}, &out, &errs)
		if want == "" {
			if code != exitUsage || out.String() != "" || !strings.Contains(errs.String(), "'"+program+"'") {
				t.Errorf("%s: code %d, prints %q and %q", program, code, out.String(), errs.String())
			}
			continue
		}
		if !strings.HasSuffix(out.String(), "complete -o default -F "+want+"\n") {
			t.Errorf("%s: %s", program, out.String())
		}
	}
}
