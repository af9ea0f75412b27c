package share

import (
	"cmp"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// stateIdentity returns the identity of an engine that has none of its own: from a file, so that it outlives the server. Where
// no file can be written it lasts as long as the server, and the one after it waits for the lease to end.
var stateIdentity = sync.OnceValue(func() string {
	return identityIn(cmp.Or(os.Getenv("STATE_DIRECTORY"), "/var/lib/dockerdiscovery/state"))
})

const maxIdentity = 128 // octets

func identityIn(dir string) string {
	dir, _, _ = strings.Cut(dir, ":") // systemd's list
	file := filepath.Join(dir, "identity")
	if b, err := os.ReadFile(file); err == nil && len(b) <= maxIdentity {
		if id := strings.TrimSpace(string(b)); id != "" {
			return id
		}
	}
	id := "server:" + rand.Text()
	if os.MkdirAll(dir, 0o755) == nil {
		temporary := file + ".new"
		if os.WriteFile(temporary, []byte(id+"\n"), 0o644) == nil {
			os.Rename(temporary, file) // else the next server has another one
		}
	}
	return id
}
