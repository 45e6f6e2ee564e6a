#!/bin/sh
# Builds versitygw, a real S3 server, from its Go module, once per content of this folder.
#
#   tests/stores/build.sh      prints the directory that holds the program; progress goes to stderr
#
# It is kept outside of the work tree, beside the programs of the control plane, in
#   ${VMREWIND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmrewind}/stores/<hash of go.mod, go.sum and this script>/
# A build takes about a minute on two cores. It happens in a temporary directory which is renamed at the end, under a
# lock: callers may run at the same time, and a build that was cut leaves nothing that looks finished.
set -eu

# Not older than 1.8.0: before it, several of many conditional creates of one name at the same time succeeded.
program=versitygw
package=github.com/versity/versitygw/cmd/versitygw
# Smallest Go release that the module accepts, as major.minor.
go_needed=1.26

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
say() { printf 'stores: %s\n' "$*" >&2; }
die() { say "error: $1"; say "hint: $2"; exit 1; }

home=${VMREWIND_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set: set VMREWIND_CACHE to a directory for built programs}/.cache}/vmrewind}
case $home in /*) ;; *) die "the cache directory '$home' is not absolute" "set VMREWIND_CACHE to an absolute path" ;; esac

hash_of() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-16; }
hash=$(cd "$here" && cat build.sh go.mod go.sum | hash_of)
[ ${#hash} -eq 16 ] || die "neither sha256sum nor shasum works" "install coreutils"
target=$home/stores/$hash

finished() { [ -x "$target/$program" ]; }

if finished; then printf '%s\n' "$target"; exit 0; fi

command -v go >/dev/null || die "go is not installed" "install Go $go_needed or newer (https://go.dev/dl) and put it on PATH"
go_found=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')
oldest=$(printf '%s\n%s\n' "$go_needed" "$go_found" | sort -t. -k1,1n -k2,2n | head -n 1)
[ "$oldest" = "$go_needed" ] || die "Go $go_found is too old" "install Go $go_needed or newer (https://go.dev/dl)"

mkdir -p "$home/stores"
exec 9>"$home/stores/.lock"
if command -v flock >/dev/null; then
    flock -n 9 || { say "waiting for another build"; flock 9; }
    if finished; then printf '%s\n' "$target"; exit 0; fi
fi

work=$(mktemp -d "$home/stores/.build-$hash-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# No C code is in it, so that it runs on every Linux; debug tables are left out.
export GOFLAGS="-trimpath -buildvcs=false" CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off
say "building $program (about a minute when nothing is cached)"
(cd "$here" && go build -ldflags "-s -w" -o "$work/$program" "$package") >&2 9>&- ||
    die "building $program failed" "the words of go are above; the module proxy must be reachable (GOPROXY=$(go env GOPROXY))"

# Without flock two builds may end here together: the first one wins, they are equal.
chmod 755 "$work"
if ! finished; then
    rm -rf "$target"
    mv "$work" "$target" || die "$target could not be written" "look at free space and rights of $home"
fi
rm -rf "$work"
trap - EXIT
say "done"
printf '%s\n' "$target"
