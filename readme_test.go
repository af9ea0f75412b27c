package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coredns/caddy/caddyfile"
)

// indented finds the indented blocks of a Markdown file, fenced those that are Corefiles.
var (
	indented = regexp.MustCompile(`(?m)(?:^    .*\n|^\n)+`)
	fenced   = regexp.MustCompile("(?ms)^(?:~~~|```) ?corefile\n(.*?)^(?:~~~|```)$")
)

// blocks returns the indented blocks of a Markdown file.
func blocks(text string) (all []string) {
	for _, block := range indented.FindAllString(text, -1) {
		all = append(all, strings.TrimSpace(strings.ReplaceAll("\n"+block, "\n    ", "\n"))+"\n")
	}
	return all
}

// corefiles returns the repository's Corefiles and those that its pages show.
func corefiles(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	serverBlock := regexp.MustCompile(`^[^\s$#{]\S* \{\n`)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		page, file := filepath.Ext(path) == ".md", strings.HasPrefix(entry.Name(), "Corefile")
		if !page && !file {
			return nil
		}
		b, err := os.ReadFile(path)
		if file {
			all[path] = append(all[path], string(b))
			return err
		}
		for _, match := range fenced.FindAllStringSubmatch(string(b), -1) {
			all[path] = append(all[path], match[1])
		}
		for _, block := range blocks(string(b)) {
			if serverBlock.MatchString(block) {
				all[path] = append(all[path], block)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every server block that we show and that answers for several containers by one name has each come
// first at times. Without it all clients would go to the same one.
func TestCorefilesBalanceLoad(t *testing.T) {
	shown := map[string]int{}
	for path, texts := range corefiles(t) {
		for _, text := range texts {
			parsed, err := caddyfile.Parse(path, strings.NewReader(text), nil)
			if err != nil {
				t.Errorf("%v in\n%s", err, text)
			}
			for _, block := range parsed {
				if block.Tokens["docker"] == nil && block.Tokens["secondary"] == nil {
					continue
				}
				shown[path]++
				if block.Tokens["loadbalance"] == nil {
					t.Errorf("%s: a server block without loadbalance:\n%s", path, text)
				}
			}
		}
	}
	for path, least := range map[string]int{
		"Corefile.example": 1, "dist/Corefile": 1, "README.md": 3, "plugin/dockerdiscovery/README.md": 8, "examples/secondary/Corefile.secondary": 1,
	} {
		if shown[path] < least {
			t.Errorf("%s: found %d server blocks, want %d or more", path, shown[path], least)
		}
	}
}

// The unit starts after Docker, and again until an address to bind is there, however long that takes. systemd has nothing
// against any line of it, and takes what it runs for well kept.
func TestUnit(t *testing.T) {
	b, err := os.ReadFile("dist/systemd/dockerdiscovery.service")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, line := range []string{"StartLimitIntervalSec=0", "Restart=always", "RestartSec=1", "AmbientCapabilities=CAP_NET_BIND_SERVICE"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	if !regexp.MustCompile(`(?m)^After=.*\bdocker\.service\b`).MatchString(text) || regexp.MustCompile(`(?m)^(Wants|Requires|BindsTo)=`).MatchString(text) {
		t.Errorf("the unit must start after Docker, and without it too:\n%s", text)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze, of package systemd, is not installed")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dockerdiscovery.service")
	if err := os.WriteFile(path, []byte(strings.Replace(text, "/usr/bin/dockerdiscovery", program, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", path).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v, which is an exposure above 2.0:\n%s", err, out)
	}
}
