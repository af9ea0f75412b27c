package main

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xeipuuv/gojsonschema"
)

func TestVersions(t *testing.T) {
	for _, c := range []struct{ text, tilde, apk string }{
		{"1.2.3", "1.2.3", "1.2.3"},
		{"1.2.3-rc.1", "1.2.3~rc.1", "1.2.3_rc1"},
		{"1.2.3-beta2", "1.2.3~beta2", "1.2.3_beta2"},
		{"0.0.0-20261129083015-0123456789ab", "0.0.0~20261129083015.0123456789ab", "0.0.0_git20261129083015"},
		{"0.0.0-20261129083015-0123456789ab+changed", "0.0.0~20261129083015.0123456789ab+changed", "0.0.0_git20261129083015"},
	} {
		v, err := parseVersion(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		apk, err := v.apk()
		if v.String() != c.text || v.tilde() != c.tilde || apk != c.apk || err != nil {
			t.Errorf("%s: got %s, %s, %s (%v)", c.text, v, v.tilde(), apk, err)
		}
	}
	for _, text := range []string{"", "unknown", "1.2", "v1.2.3"} {
		if _, err := parseVersion(text); err == nil || !strings.Contains(err.Error(), "as 1.2.3 and 1.2.3-rc.1 are") {
			t.Errorf("%q: error %v, want one that says what is accepted", text, err)
		}
	}
	v, err := parseVersion("1.2.3-daily")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.apk(); err == nil || !strings.Contains(err.Error(), "want alpha, beta, pre or rc") {
		t.Errorf("1.2.3-daily: error %v, want one that says what is accepted", err)
	}
}

func TestTargets(t *testing.T) {
	for list, want := range map[string][]target{
		"":                         targets,
		"linux/arm":                {{"linux", "arm"}},
		"darwin/arm64,linux/amd64": {{"darwin", "arm64"}, {"linux", "amd64"}},
	} {
		if got, err := parseTargets(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", list, got, err, want)
		}
	}
	if _, err := parseTargets("linux/mips"); err == nil || !strings.Contains(err.Error(), "linux/riscv64") {
		t.Errorf("linux/mips: error %v, want one with the targets", err)
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args        []string
		epoch, want string
	}{
		{nil, "0", "want the folder"},
		{[]string{"out"}, "yesterday", "SOURCE_DATE_EPOCH is 'yesterday'"},
		{[]string{"-targets", "plan9/arm", "out"}, "0", "there is no target 'plan9/arm'"},
	} {
		if err := run(c.args, c.epoch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %s", c.args, err, c.want)
		}
	}
}

// Each text stands once, below the names of all whose it is, and in order.
func TestLicencePage(t *testing.T) {
	l := licences{texts: map[string][]string{
		"LICENSE\n\nMay be used.\n": {"example.org/b v2.0.0", "example.org/a v1.0.0"},
		"NOTICE\n\nBy A.\n":         {"example.org/a v1.0.0"},
	}}
	line := strings.Repeat("=", 80)
	want := licencesHead +
		"\n" + line + "\nexample.org/a v1.0.0\n" + line + "\nNOTICE\n\nBy A.\n" +
		"\n" + line + "\nexample.org/a v1.0.0\nexample.org/b v2.0.0\n" + line + "\nLICENSE\n\nMay be used.\n"
	if got := string(l.page()); got != want {
		t.Errorf("the page is\n%s\nwant\n%s", got, want)
	}
}

func TestExpression(t *testing.T) {
	l := licences{ids: map[string][]string{"a": {"MIT"}, "b": {"MIT", "BSD-3-Clause"}}}
	if got := l.expression(); got != "Apache-2.0 AND BSD-3-Clause AND MIT" {
		t.Error(got)
	}
}

// What is said of a binary, this test's own, keeps to CycloneDX's schema, and is the same each time.
func TestSchema(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	l := licences{ids: map[string][]string{goModule: {"BSD-3-Clause"}}}
	for _, m := range info.Deps {
		l.ids[m.Path] = []string{"Apache-2.0", "MIT"}
	}
	v, err := parseVersion("1.2.3-rc.1+changed")
	if err != nil {
		t.Fatal(err)
	}
	r := release{version: v, date: time.Unix(1770000000, 0).UTC()}
	var texts []string
	for range 2 {
		var out strings.Builder
		if err := encode(&out, r.bom(info, [32]byte{1, 2, 3}, lean, l)); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, out.String())
	}
	if texts[0] != texts[1] {
		t.Error("two lists of the same binary differ")
	}
	schema := schema(t)
	validate := func(text string) *gojsonschema.Result {
		result, err := schema.Validate(gojsonschema.NewStringLoader(text))
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	if result := validate(texts[0]); !result.Valid() {
		t.Errorf("%v", result.Errors())
	}
	if validate(strings.Replace(texts[0], `"Apache-2.0"`, `"Apache-9.0"`, 1)).Valid() {
		t.Error("the schema has nothing against a licence that there is not")
	}
}

// schema is CycloneDX's, which comes with its module, as do those that it refers to.
func schema(t *testing.T) *gojsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) gojsonschema.JSONLoader {
		return gojsonschema.NewReferenceLoader("file://" + filepath.Join(strings.TrimSpace(string(dir)), "schema", name))
	}
	loader := gojsonschema.NewSchemaLoader()
	if err := loader.AddSchemas(file("spdx.schema.json"), file("jsf-0.82.schemax.json")); err != nil {
		t.Fatal(err)
	}
	schema, err := loader.Compile(file("bom-1.6.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
