#!/bin/bash
# Many at work on one store: builders that build, tag, push, export and run, collectors that prune,
# removers that take names away, readers that look; each is killed with SIGKILL now and then. What is
# not killed must succeed, every image must be the one that a run of one builder alone gives, and at
# the end nothing in the store is damaged and every acknowledged name is there.
#
# The one failure that is none: a name that removers take away may be gone (exit 2 and the words
# "there is no image"), for them and for whoever reads it.
#
# Usage: many.sh [BUILDERS [MINUTES]]   (default 8 builders for 2 minutes)
. "$(dirname "$0")/lib.sh"
builders=${1:-8}
minutes=${2:-2}
# A command that takes this many seconds hangs. With 32 builders on two processors the slowest takes 40.
patience=240
versions=4
kinds="copy steps stages based pulled"
w() { "$wythe" --store "$work/store" --progress quiet "$@"; }
alone() { "$wythe" --store "$work/alone" --progress quiet "$@"; }
# The arguments of a build of KIND and VERSION; the same bytes come of it at any time.
recipe() {
  echo "--build-arg V=$2 --build-arg BASE=$registry/base:1 --build-arg SOURCE_DATE_EPOCH=1700000000" \
    "-f $work/context/$1.Dockerfile $work/context"
}

mkdir -p "$work/context/rootfs/bin" "$work/expected" "$work/now" "$work/out" "$work/failures" "$work/count"
cp /bin/busybox "$work/context/rootfs/bin/busybox"
for applet in sh sleep dd cp rm ls cat sha256sum seq; do ln -s busybox "$work/context/rootfs/bin/$applet"; done
for v in $(seq "$versions"); do
  mkdir -p "$work/context/src/$v"
  for i in $(seq 40); do seq $((v * 100000 + i)) $((v * 100000 + i + 3000)) > "$work/context/src/$v/$i"; done
done
cat > "$work/context/copy.Dockerfile" <<'X'
FROM scratch
ARG V
COPY rootfs /
COPY src/$V /src
COPY rootfs/bin/busybox /copy/$V
X
cat > "$work/context/steps.Dockerfile" <<'X'
FROM scratch
COPY rootfs /
ARG V
RUN seq 20000 > /numbers && seq $V 20000 > /some
RUN --mount=type=cache,target=/c,sharing=private echo $V > /c/$V && sleep 0.02 && cat /c/$V > /cached
RUN sha256sum /numbers /some /cached > /sums
X
cat > "$work/context/stages.Dockerfile" <<'X'
FROM scratch AS base
COPY rootfs /
FROM base AS left
ARG V
RUN seq $V 30000 > /left && sleep 0.03
FROM base AS right
ARG V
COPY src/$V /src
RUN cat /src/* > /right
FROM base
COPY --from=left /left /left
COPY --from=right /right /right
RUN sha256sum /left /right > /sums
X
cat > "$work/context/based.Dockerfile" <<'X'
FROM localhost/base:1
ARG V
COPY src/$V /src
RUN sha256sum /src/* > /sums
X
cat > "$work/context/pulled.Dockerfile" <<'X'
ARG BASE
FROM $BASE
ARG V
RUN seq $V 25000 > /pulled && sha256sum /pulled > /sums
X
printf 'FROM scratch\nCOPY rootfs /\n' > "$work/context/base.Dockerfile"

start_registry
# prepare STORE-FUNCTION: the images that others begin with.
prepare() {
  "$1" build -q --build-arg SOURCE_DATE_EPOCH=1700000000 -f "$work/context/base.Dockerfile" -t localhost/base:1 \
    -o type=image,rewrite-timestamp=true "$work/context"
}
# What one builder alone makes of each recipe: the id of the image, its archive, its digest when pushed.
serial() {
  local kind v
  prepare alone && alone push localhost/base:1 "$registry/base:1" || return 1
  for kind in $kinds; do
    for v in $(seq "$versions"); do
      alone build --iidfile "$work/expected/$kind.$v.id" -t "$registry/alone/$kind:$v" \
        -o type=image,rewrite-timestamp=true $(recipe "$kind" "$v") || return 1
      alone push "$registry/alone/$kind:$v" && pushed "alone/$kind" "$v" > "$work/expected/$kind.$v.pushed" || return 1
      alone save --format oci -o "$work/out/alone.tar" "$registry/alone/$kind:$v" || return 1
      python3 "$here/archive_digest.py" "$work/out/alone.tar" > "$work/expected/$kind.$v.saved" || return 1
      alone run "$registry/alone/$kind:$v" sha256sum $(looked_at "$kind") > "$work/expected/$kind.$v.files" || return 1
    done
  done
}
# Files of a recipe, as a step of its image sees them.
looked_at() { if [ "$1" = copy ]; then echo /src/1 /src/40 /bin/busybox; else echo /sums /bin/busybox; fi; }
# The digest that the registry has under a name.
pushed() { cat "$work/registry/docker/registry/v2/repositories/$1/_manifests/tags/$2/current/link"; }

# ---- what everybody at work is made of

fail() { echo "$(date +%T) $me: $*" | tee -a "$work/failures/$me" > /dev/null; }
# counted NAME: one more of it.
counted() { echo >> "$work/count/$1"; }
chance() { [ $((RANDOM % $1)) = 0 ]; }
# Some instant of the first half second, rather an early one.
some_time() { sleep "$(printf '0.%03d' $((RANDOM % (20 << RANDOM % 6) % 500)))"; }
# attempt COMMAND…: runs it, one time in eight to be killed at some instant, one time in sixteen to be
# stopped for a second, with what it holds. Status 137 says killed by us; whatever else is not 0 is for
# the caller to judge.
attempt() {
  local pid status
  setsid "$wythe" --store "$work/store" --progress plain "$@" > "$work/out/$me.stdout" 2> "$work/out/$me.stderr" &
  pid=$!
  echo "$SECONDS $pid $*" > "$work/now/$me"
  if chance 8; then
    some_time
    kill -9 "$pid" 2> /dev/null && counted kills
  elif chance 14; then
    some_time
    if kill -STOP "$pid" 2> /dev/null; then
      counted stops
      sleep 1
      kill -CONT "$pid"
    fi
  fi
  wait "$pid" 2> /dev/null
  status=$?
  rm -f "$work/now/$me"
  counted "$1"
  return "$status"
}
# must COMMAND…: succeeds (0), or was killed (1). Everything else is a failure.
must() {
  attempt "$@"
  case $? in
    0) return 0 ;;
    137) [ ! -e "$work/hung/$me" ] || fail "hung: $*" ;;
    *) fail "status $?: $*"; explain ;;
  esac
  return 1
}
# may COMMAND…: the same, and may find that the image is gone (1).
may() {
  attempt "$@"
  case $? in
    0) return 0 ;;
    137) ;;
    2) grep -q 'there is no image' "$work/out/$me.stderr" || { fail "status 2: $*"; explain; } ;;
    *) fail "status $?: $*"; explain ;;
  esac
  return 1
}
explain() { tail -n 12 "$work/out/$me.stderr" "$work/out/$me.stdout" >> "$work/failures/$me"; }
same() { [ "$2" = "$3" ] || { fail "$1 is $2, not $3"; false; }; }
# Half of the time everybody works without a pause, half of it most are away, so that collectors are alone.
breathe() { [ $((SECONDS / 7 % 2)) = 0 ] || sleep "$((RANDOM % (builders / 2 + 1))).$((RANDOM % 10))"; }
at_work() { [ "$SECONDS" -lt "$end" ]; }

# ---- who is at work

builder() {
  local kind v own shared
  while at_work; do
    set -- $kinds
    shift $((RANDOM % $#))
    kind=$1 v=$((RANDOM % versions + 1))
    own=$registry/$me/$kind:$v shared=localhost/shared:$((RANDOM % 6))
    rm -f "$work/out/$me.id"
    if must build --iidfile "$work/out/$me.id" -t "$own" -o type=image,rewrite-timestamp=true $(recipe "$kind" "$v"); then
      same "id of $kind $v" "$(cat "$work/out/$me.id")" "$(cat "$work/expected/$kind.$v.id")"
      echo "$own $kind.$v" >> "$work/acknowledged.$me"
      must push "$own" && same "pushed $kind $v" "$(pushed "$me/$kind" "$v")" "$(cat "$work/expected/$kind.$v.pushed")"
      must save --format oci -o "$work/out/$me.tar" "$own" && saved "$work/out/$me.tar" "$kind.$v"
      must run "$own" sha256sum $(looked_at "$kind") && same "files of $kind $v" "$(cat "$work/out/$me.stdout")" "$(cat "$work/expected/$kind.$v.files")"
      must tag "$own" "$shared"
      may save -o "$work/out/$me.tar" "$shared"
    fi
    if chance 3; then
      must build -o "type=oci,dest=$work/out/$me.tar,rewrite-timestamp=true" $(recipe "$kind" "$v") &&
        saved "$work/out/$me.tar" "$kind.$v"
    fi
    breathe
  done
}
saved() { same "archive of $2" "$(python3 "$here/archive_digest.py" "$1" 2>&1)" "$(cat "$work/expected/$2.saved")"; }
remover() {
  while at_work; do
    may rmi "localhost/shared:$((RANDOM % 6))"
    sleep "0.$((RANDOM % 10))"
  done
}
collector() {
  while at_work; do
    if chance 4; then must prune; else must prune --all; fi
    sleep "0.$((RANDOM % 4))"
  done
}
reader() {
  while at_work; do
    must images
    must du
    if chance 2; then must verify; else must verify --live; fi
    sleep "0.$((RANDOM % 10))"
  done
}
# Says what a command that takes too long waits for, and ends it.
watchdog() {
  local file since pid words
  while sleep 2; do
    for file in "$work"/now/*; do
      read -r since pid words 2> /dev/null < "$file" || continue
      [ $((SECONDS - since)) -gt "$patience" ] || continue
      me=watchdog fail "${file##*/} hangs: $words"
      grep -s . /proc/"$pid"/task/*/wchan /proc/"$pid"/task/*/syscall >> "$work/failures/watchdog"
      touch "$work/hung/${file##*/}"
      kill -9 "$pid"
    done
  done
}

everybody() {
  local pids=() one
  mkdir -p "$work/hung"
  end=$((SECONDS + minutes * 60))
  watchdog &
  children+=($!)
  for one in $(seq "$builders"); do (me=builder$one; RANDOM=$((one * 7919)); builder) & pids+=($!); done
  for one in 1 2; do (me=collector$one; RANDOM=$((one * 104729)); collector) & pids+=($!); done
  (me=remover; remover) & pids+=($!)
  (me=reader; reader) & pids+=($!)
  wait "${pids[@]}"
  for one in build push save run tag rmi prune verify kills stops; do
    echo "$one: $(cat "$work/count/$one" 2> /dev/null | wc -l)"
  done
  # What failed how often, then the first of it in full.
  cat "$work"/failures/* 2> /dev/null | sed -n "s/^[0-9:]* \([a-z]*\)[0-9]*: /\1: /p" | sed "s|$work||g" | cut -c1-120 | sort | uniq -c
  cat "$work"/failures/* 2> /dev/null | head -n 200
  [ -z "$(ls "$work/failures")" ]
}

# ---- what must hold afterwards

kept() {
  local name recipe n=0
  while read -r name recipe; do
    w save --format oci -o "$work/out/kept.tar" "$name" && me=kept && saved "$work/out/kept.tar" "$recipe" ||
      { echo "$name is not what was acknowledged"; cat "$work/failures/kept"; return 1; }
    n=$((n + 1))
  done < <(sort -u "$work"/acknowledged.*)
  echo "$n names"
  [ "$n" -gt 0 ]
}
tidy() { w images > /dev/null && [ -z "$(find "$work/store/work" "$work/store/trash" "$work/store/leases" -mindepth 1)" ]; }
check "one builder alone builds each recipe" serial
check "the store has the image that others begin with" prepare w
check "$builders builders, 2 collectors, a remover and a reader, $minutes min: what is not killed succeeds, with the right bytes" everybody
check "nothing in the store is damaged" w verify --live
check "every acknowledged name gives the archive of the serial run" kept
check "nothing temporary outlives the next command" tidy
check "a collection of everything keeps what has a name" w prune --all
check "and every acknowledged name still gives its archive" kept
check "and nothing is damaged" w verify --live
