#!/bin/sh
# build.sh [-lean] [OUTPUT] builds CoreDNS with the docker plugin: static and reproducible,
# as ./coredns unless OUTPUT names another file. With -lean it has those of CoreDNS's plugins alone that are of use
# beside containers (docs/packages.md). GOOS and GOARCH choose the target. Without Go, root
# gets the distribution's on Debian or Ubuntu.
set -eu

tags=grpcnotrace what=
case ${1:-} in
-lean)
	tags=$tags,lean what=', lean'
	shift
	;;
-*)
	echo "build.sh: '$1' is no option: want [-lean] [OUTPUT]" >&2
	exit 2
	;;
esac

root=$(cd "$(dirname "$0")" && pwd)
out=${1:-$root/coredns}
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$root"

. test/need.sh
need_go .

version=$(dist/version)

# An empty build ID and no paths: the same source and Go version give the same bytes.
# grpcnotrace is CoreDNS's own build tag: without grpc's tracing the linker drops unused code.
# coredns.pgo is a profile of the wire benchmark's load: it saves some percent of a query's CPU time (docs/benchmarks.md).
CGO_ENABLED=0 go build -pgo coredns.pgo -trimpath -buildvcs=false -tags "$tags" \
	-ldflags "-s -w -buildid= -X github.com/coredns/coredns/coremain.GitCommit=$version" \
	-o "$out" .

echo "built $out: version $version$what, $(go env GOOS)/$(go env GOARCH), $(($(wc -c <"$out") / 1048576)) MiB"
