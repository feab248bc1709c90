#!/bin/bash
# Kills builds at random instants with SIGKILL and looks at what stays: the next command works, no
# process and no mount is left, no temporary file outlives the next command, no tagged image is
# damaged.
#
# Usage: kill.sh [COUNT]   (default 40)
. "$(dirname "$0")/lib.sh"
count=${1:-40}
w() { "$wythe" --store "$work/store" --progress quiet "$@"; }

mkdir -p "$work/context/rootfs/bin" "$work/context/src"
cp /bin/busybox "$work/context/rootfs/bin/busybox"
for applet in sh sleep dd cp rm ls cat sha256sum; do ln -s busybox "$work/context/rootfs/bin/$applet"; done
for i in $(seq 200); do head -c 20000 /dev/urandom > "$work/context/src/$i"; done
cat > "$work/context/Dockerfile" <<'X'
FROM scratch AS base
COPY rootfs /
FROM base AS left
ARG NONCE
RUN dd if=/dev/urandom of=/left bs=100k count=20 && sleep 0.05
FROM base
ARG NONCE
COPY src /src
RUN cat /src/* > /all && sleep 0.05
COPY --from=left /left /left
RUN sha256sum /left /all > /sums
X
build() { w build -t "t:$1" --build-arg "NONCE=$1" "$work/context"; }

# Processes of this user that run below the store, whatever they are called.
leftovers() { pgrep -u "$(id -u)" -f "$work/store" | grep -vx "$$" ; }
no_process() { for _ in $(seq 40); do leftovers > /dev/null || return 0; sleep 0.05; done; leftovers; return 1; }
no_mount() { ! grep -s "$work/store" /proc/[0-9]*/mountinfo; }
nothing_temporary() { [ -z "$(find "$work/store/work" "$work/store/trash" -mindepth 1 2> /dev/null)" ]; }
listed() { w images | grep -q 'latest\|first'; }
intact() { w verify; }

check "an undisturbed build is tagged" build first
start=$(date +%s%N)
build second > /dev/null 2>&1
whole=$(( ($(date +%s%N) - start) / 1000000 ))
echo "      one build takes $whole ms; $count are killed"

round() {
  local i=$1 victim
  setsid "$wythe" --store "$work/store" --progress quiet build -t t:victim \
    --build-arg "NONCE=k$i" "$work/context" > /dev/null 2>&1 &
  victim=$!
  sleep "$(awk -v m="$whole" -v r="$RANDOM" 'BEGIN { printf "%.3f", m * r / 32768 / 1000 }')"
  kill -9 "$victim" 2> /dev/null
  wait "$victim" 2> /dev/null
  no_process || { echo "round $i: a process stays"; return 1; }
  no_mount || { echo "round $i: a mount stays"; return 1; }
  w images > "$work/images" || { echo "round $i: the next command fails"; return 1; }
  grep -q first "$work/images" || { echo "round $i: a tag is gone"; cat "$work/images"; return 1; }
}
rounds() { local i; for i in $(seq "$count"); do round "$i" || return 1; done; }

check "$count builds killed at random instants leave nothing behind" rounds
check "a build after them works" build third
check "no temporary file outlives it" nothing_temporary
check "everything in the store is intact" intact
check "the first image still runs" w run t:first cat /sums
