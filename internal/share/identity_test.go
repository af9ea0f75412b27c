package share

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIdentity checks that an identity outlives the server where a file can be written, and that no file is believed whatever it says.
func TestIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first := identityIn(dir + ":/other") // as systemd lists several
	if !strings.HasPrefix(first, "server:") || identityIn(dir) != first {
		t.Errorf("the identity is %q, and then %q", first, identityIn(dir))
	}
	for _, content := range []string{"", "\n", strings.Repeat("x", maxIdentity+1)} {
		file := filepath.Join(dir, "identity")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if id := identityIn(dir); !strings.HasPrefix(id, "server:") || id == first || identityIn(dir) != id {
			t.Errorf("of a file with %.10q the identity is %q, and then %q", content, id, identityIn(dir))
		}
	}
	notThere := filepath.Join(dir, "identity", "no folder")
	if first, second := identityIn(notThere), identityIn(notThere); first == second || !strings.HasPrefix(second, "server:") {
		t.Errorf("where nothing can be written the identities are %q and %q", first, second)
	}
}
