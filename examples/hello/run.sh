#!/bin/sh
# Builds wythe, builds examples/hello/Dockerfile with it as an unprivileged user, and runs the image.
# On Debian and as root it installs what is missing and makes the user wythe-demo, and says so.
set -eu
cd "$(dirname "$0")/../.."
user=wythe-demo
say() { printf '\n== %s\n' "$*"; }

missing=
command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
command -v newuidmap >/dev/null || missing="$missing uidmap"
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || { echo "please install:$missing" >&2; exit 1; }
  say "installing$missing"
  apt-get update -q && apt-get install -qy --no-install-recommends $missing
fi

say "compiling wythe"
cargo build --release --locked --package wythe
target=${CARGO_TARGET_DIR:-target}
work=${WYTHE_DEMO_DIR:-/var/tmp/wythe-demo}
mkdir -p "$work/context"
install -m 755 "$target/release/wythe" "$work/wythe"

if [ ! -e "$work/context/base.tar" ]; then
  say "making a Debian with a C compiler (about 300 MB, once)"
  mmdebstrap --quiet --variant=minbase --include=gcc,libc6-dev stable "$work/base.tar.new"
  mv "$work/base.tar.new" "$work/context/base.tar"
fi
cp examples/hello/Dockerfile examples/hello/hello.c "$work/context/"

as_user() { "$@"; }
if [ "$(id -u)" = 0 ]; then
  id "$user" >/dev/null 2>&1 || { say "making the user $user"; useradd --create-home "$user"; }
  grep -q "^$user:" /etc/subuid || usermod --add-subuids 524288-589823 --add-subgids 524288-589823 "$user"
  chown -R "$user:" "$work"
  as_user() { runuser -u "$user" -- env HOME="$(getent passwd "$user" | cut -d: -f6)" "$@"; }
fi

export WYTHE_STORE="$work/store"
say "wythe build -t hello $work/context"
as_user "$work/wythe" build -t hello "$work/context"
say "wythe run hello"
as_user "$work/wythe" run hello
say "the same build again, from the cache"
as_user "$work/wythe" build -t hello "$work/context"
