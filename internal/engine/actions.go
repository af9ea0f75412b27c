package engine

// wanted are the actions that Docker is asked to tell of. Of each event it writes out all labels of the container, for
// each reader anew: where these are large, the events of a health check, three each time, would have others' wait for
// seconds.
var wanted = []string{
	"create", "start", "restart", "kill", "die", "stop", "oom", "destroy",
	"pause", "unpause", "rename", "update", "health_status", "connect", "disconnect", "remove", "prune",
}

// harmless are the actions that change nothing about a running container's records. Podman tells of them: it has not all
// actions by the names by which it can be asked for them.
var harmless = map[string]bool{
	"exec_create": true, "exec_start": true, "exec_die": true, "exec_detach": true, "exec": true, "exec_died": true,
	"attach": true, "detach": true, "resize": true, "top": true, "copy": true, "archive-path": true,
	"extract-to-dir": true, "export": true, "commit": true,
}

// endings are the actions that only take records away. They say nothing new of a
// container that does not run: after its death was seen they need no inspect.
var endings = map[string]bool{
	"die": true, "died": true, "stop": true, "oom": true, "disconnect": true, "pause": true,
	"cleanup": true, "destroy": true, "remove": true,
}

// deaths are those endings after which the container's process has ended.
var deaths = map[string]bool{"die": true, "died": true, "destroy": true, "remove": true}

// starts are the actions by which a start is told when it is done.
var starts = map[string]bool{"start": true, "restart": true}

// removals are those endings that are the last.
var removals = map[string]bool{"destroy": true, "remove": true}
