#!/bin/sh
# Compiles wythe, builds examples/hello/Dockerfile with it as an unprivileged user, and runs the
# image.
#
# As root on Debian it installs what is missing and makes the user wythe-demo to build as; without
# root it builds as you, and says what to install. Everything else lies in one directory, which the
# last line names.
set -eu
cd "$(dirname "$0")/../.."
say() { printf '\n== %s\n' "$*"; }

missing=
needs() { command -v "$1" > /dev/null || { shift; missing="$missing $*"; }; }
needs mmdebstrap mmdebstrap
needs newuidmap uidmap
needs cc gcc libc6-dev
needs musl-gcc musl-tools
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || { echo "as root, please: apt-get install$missing" >&2; exit 1; }
  say "installing$missing"
  apt-get update -q && apt-get install -qy --no-install-recommends $missing
fi

user=$(id -un) as_user=
if [ "$(id -u)" = 0 ]; then
  user=wythe-demo
  id "$user" > /dev/null 2>&1 || { say "making the user $user"; useradd --create-home "$user"; }
  as_user="runuser -u $user -- env HOME=$(getent passwd "$user" | cut -d: -f6)"
fi
if ! grep -q "^$user:" /etc/subuid || ! grep -q "^$user:" /etc/subgid; then
  [ "$(id -u)" = 0 ] || {
    echo "as root, please: usermod --add-subuids 524288-589823 --add-subgids 524288-589823 $user" >&2
    exit 1
  }
  usermod --add-subuids 524288-589823 --add-subgids 524288-589823 "$user"
fi

say "compiling wythe"
# The program that is released needs Rust's target for musl; without it, one for this machine alone does.
target=$(uname -m)-unknown-linux-musl
! command -v rustup > /dev/null || rustup -q target add "$target" || true
[ -d "$(rustc --print target-libdir --target "$target")" ] || target=
cargo build --release --locked --package wythe --features reapi ${target:+--target "$target"}
work=/var/tmp/wythe-hello-$user
$as_user mkdir -p "$work"
rm -rf "$work/hello"
install -m 755 "${CARGO_TARGET_DIR:-target}/$target/release/wythe" "$work/wythe"
cp -r examples/hello "$work/hello"
cd "$work"
export WYTHE_STORE="$work/store"

# The image that the Dockerfile names, made of Debian's packages rather than pulled from Docker Hub.
if [ ! -e debian ]; then
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
  say "making a Debian $release (once)"
  $as_user mkdir -p rootfs
  $as_user mmdebstrap --quiet --variant=minbase "$release" rootfs/rootfs.tar
  printf 'FROM scratch\nADD rootfs.tar /\nCMD ["bash"]\n' |
    $as_user ./wythe build -f - -o type=oci,dest=debian,tar=false rootfs
fi

build="./wythe build -t hello --build-context debian:stable-slim=oci-layout://$work/debian hello"
say "as $user: $build"
$as_user $build
say "as $user: ./wythe run hello"
$as_user ./wythe run hello
say "the same build again, from the cache"
$as_user $build
printf '\neverything is in %s\n' "$work"
