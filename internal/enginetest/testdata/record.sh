#!/bin/bash
# record.sh SOCKET FOLDER: plays one scenario on a real engine and keeps what it answers, pretty-printed, in FOLDER.
# Needs curl, jq and go. Everything it creates is named rec-* and removed at the end. What tells of the machine is replaced.
set -euo pipefail
socket=$1 out=$2 here=$(cd "$(dirname "$0")" && pwd) work=$(mktemp -d)
mkdir -p "$out"
# asked in the engine's own API version, as the client library does: engines rewrite answers for older ones
api=v$(curl -sS -I --unix-socket "$socket" http://d/_ping | tr -d '\r' | sed -n 's/^Api-Version: //p')
get() { curl -sS --unix-socket "$socket" "http://d/$api$1"; }
call() { # METHOD PATH [BODY]
  local answer
  answer=$(curl -sS -X "$1" --unix-socket "$socket" -H 'Content-Type: application/json' ${3:+-d "$3"} -w '\n%{http_code}' "http://d/$api$2")
  [[ $answer == *$'\n'[23]?? ]] || echo "$1 $2: $answer" >&2
}
scrub() { jq "$@" | sed "s/$(hostname)/engine-host/g; s/$(uname -r)/6.1.0/g"; }
keep() { get "$2" | scrub . >"$out/$1.json"; }
clean() {
  # rec-user and rec-ev5 last: others live in their network namespaces
  for c in $(get '/containers/json?all=1' | jq -r '[.[] | select(.Names[0] | startswith("/rec-"))] | sort_by(.Names[0] | IN("/rec-user", "/rec-ev5")) | .[].Id'); do call DELETE "/containers/$c?force=1"; done
  for n in $(get /networks | jq -r '.[] | select(.Name | startswith("rec-")) | .Id'); do call DELETE "/networks/$n"; done
  get /images/json | jq -r '.[].RepoTags[]? | select(contains("rec-idle"))' | while read -r i; do call DELETE "/images/$i?force=1"; done
}
run() { # NAME BODY
  call POST "/containers/create?name=$1" "$2"
  call POST "/containers/$1/start"
}
clean
(cd "$here/idle" && CGO_ENABLED=0 GO111MODULE=off go build -trimpath -ldflags='-s -w' -o "$work/idle" main.go)
tar -C "$work" -cf "$work/idle.tar" idle
curl -sS --unix-socket "$socket" -H 'Content-Type: application/x-tar' --data-binary "@$work/idle.tar" "http://d/$api/images/create?fromSrc=-&repo=rec-idle&tag=1" >/dev/null
call POST /networks/create '{"Name":"rec-net","Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.199.1.0/24"}]}}'
call POST /networks/create '{"Name":"rec-other","Driver":"bridge","IPAM":{"Config":[{"Subnet":"10.199.2.0/24"}]}}'
call POST /networks/create '{"Name":"rec-six","Driver":"bridge","EnableIPv6":true,"IPAM":{"Config":[{"Subnet":"10.199.3.0/24"},{"Subnet":"fd00:199:3::/64"}]}}'
image='"Image":"rec-idle:1","Cmd":["/idle"]'
run rec-bridge "{$image,\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},\"HostConfig\":{\"NetworkMode\":\"bridge\",\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"18199\"}]}}}"
run rec-user "{$image,\"Hostname\":\"web\",\"Domainname\":\"example.org\",\"StopSignal\":\"SIGHUP\",\"HostConfig\":{\"NetworkMode\":\"rec-net\"},\"NetworkingConfig\":{\"EndpointsConfig\":{\"rec-net\":{\"Aliases\":[\"front\",\"shop\"]}}}}"
call POST /networks/rec-other/connect '{"Container":"rec-user","EndpointConfig":{"Aliases":["back"]}}'
run rec-six "{$image,\"HostConfig\":{\"NetworkMode\":\"rec-six\"}}"
run rec-host "{$image,\"HostConfig\":{\"NetworkMode\":\"host\"}}"
run rec-joined "{$image,\"HostConfig\":{\"NetworkMode\":\"container:rec-user\"}}"
run rec-none "{$image,\"HostConfig\":{\"NetworkMode\":\"none\"}}"
run rec-health "{$image,\"Healthcheck\":{\"Test\":[\"CMD\",\"/idle\",\"check\"],\"Interval\":1000000000},\"HostConfig\":{\"NetworkMode\":\"rec-net\"}}"
run rec-compose "{$image,\"Labels\":{\"com.docker.compose.project\":\"shop\",\"com.docker.compose.service\":\"web\",\"com.docker.compose.container-number\":\"1\",\"com.docker.compose.oneoff\":\"False\"},\"HostConfig\":{\"NetworkMode\":\"rec-net\"},\"NetworkingConfig\":{\"EndpointsConfig\":{\"rec-net\":{\"Aliases\":[\"rec-compose\",\"web\"]}}}}"
run rec-paused "{$image,\"HostConfig\":{\"NetworkMode\":\"rec-net\"}}"
call POST /containers/rec-paused/pause
run rec-exited "{$image,\"HostConfig\":{\"NetworkMode\":\"rec-net\"}}"
call POST /containers/rec-exited/stop
call POST '/containers/create?name=rec-created' "{$image,\"HostConfig\":{\"NetworkMode\":\"rec-net\"}}"
for _ in $(seq 50); do [[ $(get /containers/rec-health/json | jq -r .State.Health.Status) == healthy ]] && break; sleep 0.2; done
for c in bridge user six host joined none health compose paused exited created; do keep "inspect-$c" "/containers/rec-$c/json"; done
get '/containers/json?all=1' | scrub '[.[] | select(.Names[0] | startswith("/rec-"))]' >"$out/list.json"
get /networks | scrub '[.[] | select(.Name | test("^(rec-.*|bridge|host|none|podman)$"))]' >"$out/networks.json"
keep network-bridge /networks/bridge
keep network-user /networks/rec-net
keep network-six /networks/rec-six
keep version /version
get /info | scrub '{ID: "0000", Name, ServerVersion, OperatingSystem, OSType, Architecture, SystemTime, SecurityOptions, Swarm: {NodeID: .Swarm.NodeID, LocalNodeState: .Swarm.LocalNodeState}}' >"$out/info.json"
curl -sS -I --unix-socket "$socket" http://d/_ping | tr -d '\r' | sed "s/$(hostname)/engine-host/g" >"$out/ping.txt"
keep missing /containers/rec-missing/json

# The events: one step at a time, each with what it caused, so that a test can read them step by step.
curl -sS -N --unix-socket "$socket" http://d/$api/events >"$work/events" &
stream=$!
sleep 1
step() { # NAME, then a call
  local from name=$1
  shift
  from=$(wc -l <"$work/events")
  call "$@"
  sleep "${settle:-1.5}"
  tail -n +$((from + 1)) "$work/events" | scrub -s --arg step "$name" 'map(select((.Type == "container" or .Type == "network") and (.Action | startswith("exec_") | not))) | {step: $step, events: .}' >>"$work/steps"
}
step create POST '/containers/create?name=rec-ev' "{$image,\"Labels\":{\"tier\":\"front\"},\"HostConfig\":{\"NetworkMode\":\"rec-net\"}}"
step start POST /containers/rec-ev/start
step connect POST /networks/rec-other/connect '{"Container":"rec-ev"}'
step disconnect POST /networks/rec-other/disconnect '{"Container":"rec-ev"}'
step rename POST '/containers/rec-ev/rename?name=rec-ev2'
step pause POST /containers/rec-ev2/pause
step unpause POST /containers/rec-ev2/unpause
step kill-hup POST '/containers/rec-ev2/kill?signal=HUP'
step restart POST /containers/rec-ev2/restart
step stop POST /containers/rec-ev2/stop
step remove DELETE /containers/rec-ev2
settle=4 step create-health POST '/containers/create?name=rec-ev3' "{$image,\"Healthcheck\":{\"Test\":[\"CMD\",\"/idle\",\"check\"],\"Interval\":1000000000,\"Retries\":1},\"HostConfig\":{\"NetworkMode\":\"rec-net\"}}"
settle=4 step start-health POST /containers/rec-ev3/start
step kill-kill POST '/containers/rec-ev3/kill?signal=KILL'
step start-again POST /containers/rec-ev3/start
step remove-force DELETE '/containers/rec-ev3?force=1'
step create-two POST '/containers/create?name=rec-ev4' "{$image,\"HostConfig\":{\"NetworkMode\":\"rec-net\"}}"
step connect-created POST /networks/rec-other/connect '{"Container":"rec-ev4"}'
step start-two POST /containers/rec-ev4/start
settle=3 step exit-by-signal POST '/containers/rec-ev4/kill?signal=TERM'
step disconnect-exited POST /networks/rec-other/disconnect '{"Container":"rec-ev4"}'
step remove-exited DELETE /containers/rec-ev4
step create-host POST '/containers/create?name=rec-ev5' "{$image,\"HostConfig\":{\"NetworkMode\":\"host\"}}"
step start-host POST /containers/rec-ev5/start
step create-joined POST '/containers/create?name=rec-ev6' "{$image,\"HostConfig\":{\"NetworkMode\":\"container:rec-ev5\"}}"
step start-joined POST /containers/rec-ev6/start
step stop-joined POST /containers/rec-ev6/stop
step stop-host POST /containers/rec-ev5/stop
step network-create POST /networks/create '{"Name":"rec-third","Driver":"bridge"}'
step network-remove DELETE /networks/rec-third
kill "$stream"
jq -c 'select(.step | test("two|created|exited|signal|host|joined|network") | not)' "$work/steps" >"$out/events.jsonl"
jq -c 'select(.step | test("two|created|exited|signal|host|joined|network"))' "$work/steps" >"$out/events-more.jsonl"
clean
rm -rf "$work"
