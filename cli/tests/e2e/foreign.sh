#!/bin/bash
# Images for another architecture, with steps that run there: a static busybox, and a Debian that
# its own programs put together. Nothing is registered on this machine, before or after.
#
# Needs: mmdebstrap qemu-user-static docker-registry skopeo umoci; network access to a Debian mirror.
# Usage: foreign.sh [ROOTFS.tar]   (a Debian bookworm of this machine's architecture; made when not given)
. "$(dirname "$0")/lib.sh"
own=$(dpkg --print-architecture)
other=arm64
[ "$own" != arm64 ] || other=amd64
rootfs=${1:-$work/bookworm.tar}
[ -e "$rootfs" ] || mmdebstrap --quiet --variant=minbase bookworm "$rootfs"
start_registry
w() { "$wythe" --store "$work/store" "$@"; }

machine() { [ "$1" = arm64 ] && echo aarch64 || echo x86_64; }
registered() { ls /proc/sys/fs/binfmt_misc 2> /dev/null; }
registered > "$work/before"

mkdir -p "$work/small"
for architecture in "$own" "$other"; do
  mmdebstrap --quiet --variant=extract --include=busybox-static --architectures="$architecture" \
    bookworm "$work/$architecture.tar" && tar -xf "$work/$architecture.tar" -C "$work/small" ./bin/busybox &&
    mv "$work/small/bin/busybox" "$work/small/busybox-$architecture" || exit 1
done
cat > "$work/small/Dockerfile" <<'X'
FROM scratch
ARG TARGETARCH
COPY busybox-$TARGETARCH /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN uname -m > /machine && echo "$0" >> /machine
CMD ["cat", "/machine"]
X

several=$registry/wythe/small:1
build_several() {
  w build -t "$several" --push --platform "linux/$own,linux/$other" "$work/small" 2> "$work/several.log" ||
    { cat "$work/several.log"; return 1; }
}
platforms() {
  local architecture
  for architecture in "$own" "$other"; do
    skopeo inspect --tls-verify=false --override-arch "$architecture" "docker://$several" |
      grep -q "\"Architecture\": \"$architecture\"" || return
  done
}
steps_ran_there() {
  skopeo copy -q --src-tls-verify=false --override-arch "$other" "docker://$several" "oci:$work/other:1" &&
    umoci unpack --rootless --image "$work/other:1" "$work/bundle" &&
    [ "$(cat "$work/bundle/rootfs/machine")" = "$(machine "$other")
/bin/sh" ]
}
runs() {
  w build -q -t small --platform "linux/$other" "$work/small" &&
    [ "$(w run small uname -m)" = "$(machine "$other")" ]
}
cached() {
  w build --progress plain --platform "linux/$own,linux/$other" "$work/small" > "$work/cached.log" 2>&1 &&
    grep -q CACHED "$work/cached.log" && ! grep DONE "$work/cached.log"
}
unknown() {
  ! PATH=/nowhere w build --no-cache --platform "linux/$other" "$work/small" 2> "$work/unknown.log" &&
    grep -q "Dockerfile:4:1: this machine cannot run programs for $other" "$work/unknown.log" &&
    grep -q 'install qemu-user-static' "$work/unknown.log"
}

base=$registry/debian:bookworm
printf 'FROM scratch\nADD rootfs.tar /\n' > "$work/base.Dockerfile"
mkdir -p "$work/base" && ln "$rootfs" "$work/base/rootfs.tar" 2> /dev/null || cp "$rootfs" "$work/base/rootfs.tar"
mkdir -p "$work/debian" && cp "$here/foreign.Dockerfile" "$work/debian/Dockerfile"
make_base() { w build -q -t "$base" --push -f "$work/base.Dockerfile" "$work/base"; }
debian() {
  w build -q -t debian-there --allow security.insecure --platform "linux/$other" --build-arg "BASE=$base" "$work/debian"
}
debian_there() {
  [ "$(w run debian-there cat /architecture)" = "$other
$(machine "$other")" ] && w run debian-there dpkg -s openssh-client | grep -q '^Status: install ok installed' &&
    w run debian-there sh -c 'ssh -V 2>&1' | grep -q OpenSSH
}
unregistered() { registered | cmp - "$work/before"; }

check "one build for two platforms is pushed" build_several
check "skopeo finds both platforms" platforms
check "the steps of the other architecture ran as such" steps_ran_there
check "wythe run starts the image of the other architecture" runs
check "a second build runs no step" cached
check "without an emulator the line and the remedy are named" unknown
check "a base of this machine is made" make_base
check "a Debian of the other architecture is put together, and apt-get installs a package" debian
check "its programs are of that architecture" debian_there
check "nothing is registered on this machine" unregistered
