package engine

import "github.com/dockerdiscovery/dockerdiscovery/internal/engine/tracker"

// wanted are the actions that Docker is asked to tell of. Of each event it writes out all labels of the container, for
// each reader anew: where these are large, the events of a health check, three each time, would have others' wait for
// seconds.
var wanted = []string{
	"create", "start", "restart", "kill", "die", "stop", "oom", "destroy",
	"pause", "unpause", "rename", "update", "health_status", "connect", "disconnect", "remove", "prune",
}

// kinds are what the actions of Docker's events mean. Those that are left out are of kind Changed.
var kinds = map[string]tracker.Kind{
	"create": tracker.Created, "connect": tracker.Connected, "disconnect": tracker.Disconnected,
	"start": tracker.Started, "restart": tracker.Restarted, "kill": tracker.Signalled,
	"die": tracker.Ended, "destroy": tracker.Removed,
	"stop": tracker.Lessened, "oom": tracker.Lessened, "pause": tracker.Lessened,
}

// kindOf returns what an action means, by whatever engine.
func kindOf(action string) tracker.Kind {
	if kind, ok := podmanKinds[action]; ok {
		return kind
	}
	return kinds[action]
}
