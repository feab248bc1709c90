#!/bin/bash
# Builds of 3 to 12 RUN layers, exported, with 1, 2, 3, 8 and 32 threads in the pool: none may hang,
# and each number of layers has one digest, whatever the threads. Layers are sealed while later
# steps run and by whoever needs them first; some steps copy from a stage whose layers are not
# sealed yet, so that the ways to ask for a layer meet.
#
# Usage: seal_stress.sh [BUILDS]   (default 20)
. "$(dirname "$0")/lib.sh"
builds=${1:-20}
# A build that takes this many seconds hangs.
patience=240
threads=(1 2 3 8 32)
w() { "$wythe" --store "$work/store" --progress quiet "$@"; }

mkdir -p "$work/context/rootfs/bin"
cp /bin/busybox "$work/context/rootfs/bin/busybox"
for applet in sh cp cat seq mkdir ln chmod rm; do ln -s busybox "$work/context/rootfs/bin/$applet"; done

# The Dockerfile of so many RUN layers.
recipe() {
  local layers=$1 n
  printf 'FROM scratch AS base\nCOPY rootfs /\nFROM base AS side\n'
  printf 'RUN mkdir /side && for i in $(seq 60); do seq $i 300 > /side/$i; done\n'
  printf 'FROM base\n'
  for n in $(seq "$layers"); do
    case $((n % 4)) in
      0) printf 'RUN rm -r /d%d && cp /bin/busybox /copy%d\n' $((n - 1)) "$n" ;;
      3) printf 'RUN mkdir /d%d && for i in $(seq 40); do seq %d 200 > /d%d/$i; ln /d%d/$i /d%d/l$i; done\n' "$n" "$n" "$n" "$n" "$n" ;;
      *) printf 'RUN for i in $(seq 30); do seq $i %d00 > /f%d-$i; done; chmod 600 /f%d-1\n' "$n" "$n" "$n" ;;
    esac
  done
  [ $((layers % 2)) = 0 ] || printf 'COPY --from=side /side /side\n'
}

build() {
  local layers=$1 count=$2
  timeout "$patience" env RAYON_NUM_THREADS="$count" "$wythe" --store "$work/store" --progress quiet \
    build --no-cache --build-arg SOURCE_DATE_EPOCH=1700000000 -f "$work/$layers.Dockerfile" \
    -o "type=oci,dest=$work/image.tar,rewrite-timestamp=true" --iidfile "$work/id" "$work/context"
}

rounds() {
  local i layers count status digest
  for i in $(seq 0 $((builds - 1))); do
    layers=$((3 + i / ${#threads[@]} % 10)) count=${threads[i % ${#threads[@]}]}
    [ -e "$work/$layers.Dockerfile" ] || recipe "$layers" > "$work/$layers.Dockerfile"
    status=0
    build "$layers" "$count" || status=$?
    [ "$status" != 124 ] || { echo "build $i of $layers layers hangs with $count threads"; return 1; }
    [ "$status" = 0 ] || { echo "build $i of $layers layers with $count threads: status $status"; return 1; }
    digest=$(python3 "$here/archive_digest.py" "$work/image.tar") || return 1
    [ -e "$work/$layers.digest" ] || echo "$digest" > "$work/$layers.digest"
    [ "$digest" = "$(cat "$work/$layers.digest")" ] ||
      { echo "build $i of $layers layers with $count threads: another digest"; return 1; }
  done
}

check "$builds builds of 3 to 12 layers end, each number of layers in one digest" rounds
check "everything in the store is intact" w verify
