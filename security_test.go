package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const dockerModule = "github.com/docker/docker"

// Of the Docker client's module, which holds the whole engine, the client alone is in the binary: so the engine's advisories don't
// reach it, as docs/security.md says of this version.
func TestClientAlone(t *testing.T) {
	deps, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	client := false
	for _, path := range strings.Fields(string(deps)) {
		of, found := strings.CutPrefix(path, dockerModule+"/")
		if !found {
			continue
		}
		client = client || of == "client"
		if of != "client" && of != "api" && of != "api/types" && !strings.HasPrefix(of, "api/types/") {
			t.Errorf("%s is in the binary", path)
		}
	}
	if !client {
		t.Errorf("%s/client is not in the binary", dockerModule)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(dockerModule) + ` (\S+)$`).FindStringSubmatch(string(mod))
	if version == nil || !strings.Contains(string(page), version[1]) {
		t.Errorf("docs/security.md is about another version than go.mod's, %q", version)
	}
}
