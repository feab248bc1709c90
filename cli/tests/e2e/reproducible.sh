#!/bin/bash
# The same build gives the same bytes: in a fresh store, with one job and with two, under another
# umask, time zone and directory.
. "$(dirname "$0")/lib.sh"
mkdir -p "$work/a/rootfs/bin" "$work/a/src/deep"
cp /bin/busybox "$work/a/rootfs/bin/busybox"
for applet in sh cat ls mkdir touch ln chmod; do ln -s busybox "$work/a/rootfs/bin/$applet"; done
for i in $(seq 30); do seq $((i * 500)) > "$work/a/src/deep/$i"; done
ln "$work/a/src/deep/1" "$work/a/src/one"
cat > "$work/a/Dockerfile" <<'X'
FROM scratch AS base
COPY rootfs /
FROM base AS one
RUN mkdir -p /o && cat /bin/busybox > /o/copy && ln /o/copy /o/twin && chmod 4755 /o/copy
FROM base
WORKDIR /w
COPY src /src
COPY --from=one /o /o
RUN ls -R /src > /listing; ln -s listing /link
LABEL made=here
X
cp -a "$work/a" "$work/elsewhere-with-a-longer-name"

# Builds context $1 with the remaining arguments and prints the digest of the archive.
digest() {
  local context=$1 store
  shift
  store=$(mktemp -d "$work/store.XXXX")
  "$wythe" --store "$store" --progress quiet build --build-arg SOURCE_DATE_EPOCH=1700000000 "$@" \
    -o "type=oci,dest=$store.tar,rewrite-timestamp=true" "$context" > /dev/null || return 1
  sha256sum < "$store.tar"
  "$wythe" --store "$store" prune --all --force > /dev/null 2>&1
}
want=$(digest "$work/a" --jobs 1)
same() { local got; got=$("$@") && echo "$got" && [ "$got" = "$want" ]; }
other_umask() { (umask 077; digest "$work/a"); }
other_zone() { TZ=Pacific/Kiritimati LC_ALL=C digest "$work/a"; }

check "a build gives an archive" test -n "$want"
check "the same with two jobs" same digest "$work/a" --jobs 2
check "the same with eight jobs" same digest "$work/a" --jobs 8
check "the same under another umask" same other_umask
check "the same in another time zone" same other_zone
check "the same from another directory" same digest "$work/elsewhere-with-a-longer-name"
