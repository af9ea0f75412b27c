# shellcheck shell=sh
# Sourced by build.sh, test/with-engine and others: what is there is used, what is missing is installed from
# the distribution (root on Debian or Ubuntu; installed packages stay), or else it is said what to do.

say() { echo "${0##*/}: $*" >&2; }
die() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
can_install() { [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && have apt-get; }

updated=
update() {
	[ "$updated" ] || apt-get update -qq >&2
	updated=yes
}

install() { # PACKAGE…
	update
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$@" >&2
}

# mirror prints where apt has Debian from, for debootstrap: nothing if it does not, and debootstrap decides.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | awk '!/-security/ && !seen++'
}

need() { # WHAT CHECK INSTALL…
	what=$1 check=$2
	shift 2
	$check && return
	can_install || die "$what is missing: install it, or run this as root on Debian or Ubuntu, where it is installed for you"
	say "installing $what"
	"$@"
	$check || die "$what is missing although its package was installed"
}

# Where Go is when it isn't on the PATH: as its own archive, and as a distribution's package of one version.
: "${GO_PLACES:=/usr/lib/go-1.*/bin /usr/local/go/bin}"

find_go() {
	have go && return
	for place in $GO_PLACES; do # the last is the best
		[ ! -x "$place/go" ] || found=$place
	done
	[ "${found:-}" ] && PATH=$found:$PATH
}

# switches says whether a version of Go, as 1.24.4 or 2:1.24~2, can fetch another one: since 1.21.
switches() {
	minor=${1#*:}
	minor=${minor#1.}
	[ "${minor%%[!0-9]*}" -ge 21 ] 2>/dev/null
}

# offered_go prints a package of the distribution's with a Go that switches, if there is one.
offered_go() {
	if switches "$(apt-cache policy golang-go | sed -n 's/^ *Candidate: //p')"; then
		echo golang-go
		return
	fi
	# Older releases have newer versions beside their own, in updates or backports.
	for package in $(apt-cache pkgnames golang-1. | grep -x 'golang-1\.[0-9]*-go' | sort -V); do
		version=${package#golang-}
		! switches "${version%-go}" || newest=$package
	done
	echo "${newest:-}"
}

# need_go has a Go on the PATH that builds the module in folder $1. One from 1.21 on fetches the version that
# go.mod names, unless GOTOOLCHAIN forbids it, as Debian's does where nobody sets it.
need_go() {
	wanted="Go $(sed -n 's/^go //p' "$1/go.mod") or newer: https://go.dev/dl"
	if ! find_go; then
		can_install || die "Go is missing. Install $wanted (as root on Debian or Ubuntu the distribution's is installed for you)"
		update
		package=$(offered_go)
		[ "$package" ] || die "Go is missing, and this distribution's ($(apt-cache policy golang-go | sed -n 's/^ *Candidate: //p')) is too old. Install $wanted"
		say "installing Go ($package)"
		install "$package" ca-certificates # by which it trusts the server that has the version
		find_go || die "Go is missing although $package was installed"
	fi
	version=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
	switches "${version##*go}" || die "$(command -v go) is too old: $version. Install $wanted"
	export GOTOOLCHAIN="${GOTOOLCHAIN:-auto}"
}
