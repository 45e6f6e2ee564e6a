#!/bin/sh
# Builds etcd, kube-apiserver and kube-controller-manager from their Go modules, once per content of this folder.
#
#   tests/controlplane/build.sh      prints the directory that holds the three programs; progress goes to stderr
#
# They are kept outside of the work tree, in
#   ${VMREWIND_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmrewind}/controlplane/<hash of go.mod, go.sum and this script>/
# A build takes about five minutes on two cores. It happens in a temporary directory which is renamed at the end, under
# a lock: callers may run at the same time, and a build that was cut leaves nothing that looks finished.
set -eu

kubernetes=v1.36.3
programs="etcd kube-apiserver kube-controller-manager"
# Smallest Go release that the modules accept, as major.minor.
go_needed=1.26

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
say() { printf 'controlplane: %s\n' "$*" >&2; }
die() { say "error: $1"; say "hint: $2"; exit 1; }

home=${VMREWIND_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set: set VMREWIND_CACHE to a directory for built programs}/.cache}/vmrewind}
case $home in /*) ;; *) die "the cache directory '$home' is not absolute" "set VMREWIND_CACHE to an absolute path" ;; esac

hash_of() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-16; }
hash=$(cd "$here" && cat build.sh etcd/go.mod etcd/go.sum kubernetes/go.mod kubernetes/go.sum | hash_of)
[ ${#hash} -eq 16 ] || die "neither sha256sum nor shasum works" "install coreutils"
target=$home/controlplane/$hash

finished() { for program in $programs; do [ -x "$target/$program" ] || return 1; done; }

if finished; then printf '%s\n' "$target"; exit 0; fi

command -v go >/dev/null || die "go is not installed" "install Go $go_needed or newer (https://go.dev/dl) and put it on PATH"
go_found=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')
oldest=$(printf '%s\n%s\n' "$go_needed" "$go_found" | sort -t. -k1,1n -k2,2n | head -n 1)
[ "$oldest" = "$go_needed" ] || die "Go $go_found is too old" "install Go $go_needed or newer (https://go.dev/dl)"
command -v cc >/dev/null || command -v gcc >/dev/null || die "no C compiler (cc) is installed" "install gcc or clang; the Rust build needs it too"

mkdir -p "$home/controlplane"
exec 9>"$home/controlplane/.lock"
if command -v flock >/dev/null; then
    flock -n 9 || { say "waiting for another build"; flock 9; }
    if finished; then printf '%s\n' "$target"; exit 0; fi
fi

work=$(mktemp -d "$home/controlplane/.build-$hash-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# No C code is in any of the three, so that they run on every Linux; debug tables are left out.
export GOFLAGS="-trimpath -buildvcs=false" CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off
stamp=k8s.io/component-base/version
minor=${kubernetes#v1.}
flags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*} -X $stamp.gitTreeState=clean"

# build NAME FOLDER PACKAGE: progress is one line per program, the compiler's words only on failure.
build() {
    say "building $1 (a few minutes when nothing is cached)"
    (cd "$here/$2" && go build -ldflags "$flags" -o "$work/$1" "$3") >&2 9>&- ||
        die "building $1 failed" "the words of go are above; the module proxy must be reachable (GOPROXY=$(go env GOPROXY))"
}
build etcd etcd go.etcd.io/etcd/server/v3
build kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager kubernetes k8s.io/kubernetes/cmd/kube-controller-manager

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
