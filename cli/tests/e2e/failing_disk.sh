# A disk that cannot read some of the store's files: whatever needs them says so and which, nothing else fails,
# and no signal ends a command. Run as root, who mounts: failing_disk.sh WYTHE USER DIRECTORY BASE, where BASE is an
# OCI layout with a busybox image.
set -u
wythe=$1 user=$2 base=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "$3/failing-disk.XXXXXX")
store=$work/store
. "$here/check.sh"
# What is looked at stays, however full the disk is.
export WYTHE_MIN_FREE_SPACE=0
trap 'rm -rf "$work"; echo "$passed passed, $failed failed"; [ "$failed" = 0 ]' EXIT

as_user() { runuser -u "$user" -- env HOME="$work" TMPDIR="$work" WYTHE_STORE="$store" "$@"; }

# A store with an image of a layer that was pulled, one of a step, and two files, each in a pack of its own.
fill() {
  rm -rf "$store" "$work/context"
  as_user mkdir "$work/context"
  head -c 3000000 /dev/urandom > "$work/context/data"
  echo small > "$work/context/small"
  printf 'FROM base\nRUN echo made > /made\nCOPY data /data\nCOPY small /small\n' > "$work/context/Dockerfile"
  as_user "$wythe" build -q -t app --build-context base=oci-layout://"$base" "$work/context" > "$work/built" 2>&1
  for n in 1 2 3 4 5 6 7 8 9 10; do
    printf 'FROM scratch\nLABEL n=%s\n' "$n" | as_user "$wythe" build -q -t "n$n" - > "$work/built" 2>&1
  done
}

# on MANNER FROM FILES STATUSES WORDS COMMAND…: with files that fail so, the command ends with one of the statuses,
# and says the words where it fails.
on() {
  local manner=$1 from=$2 files=$3 statuses=$4 words=$5 status=0
  shift 5
  # Names of files of a store have no blanks.
  # shellcheck disable=SC2086
  timeout 120 unshare -m python3 "$here/failing_disk.py" "$manner" "$from" $files -- \
    runuser -u "$user" -- env HOME="$work" TMPDIR="$work" WYTHE_STORE="$store" "$wythe" "$@" > "$work/told" 2>&1 ||
    status=$?
  cat "$work/told"
  case " $statuses " in *" $status "*) ;; *) echo "exit code $status, not $statuses"; return 1 ;; esac
  [ "$status" = 0 ] || grep -qE "$words" "$work/told"
}

chown "$user" "$work"
build="build -q --build-context base=oci-layout://$base"

for from in 0 100000; do
  for manner in eio short; do
    # A build makes again what it misses: each trial has a store of its own.
    check "a store is filled" fill
    pack=$(ls -S "$store"/packs/*.pack | head -n 1)
    words='cannot read packs/'
    for command in verify "verify --quick" "save app -o $work/out.tar"; do
      # shellcheck disable=SC2086
      check "$command, of a pack that is $manner from $from" on "$manner" "$from" "$pack" 6 "$words" $command
    done
    # shellcheck disable=SC2086
    check "a build, of a pack that is $manner from $from" on "$manner" "$from" "$pack" "0 6" "$words" $build "$work/context"
    check "du, of a pack that is $manner from $from" on "$manner" "$from" "$pack" "0 6" "$words" du
    check "images, of a pack that is $manner from $from" on "$manner" "$from" "$pack" "0 6" "$words" images
  done
done
check "the disk reads again, and all is there" as_user "$wythe" verify

check "a store is filled" fill
blob=$(ls -S "$store"/blobs/sha256/* | head -n 1)
tables() { ls "$store"/cache/packs-*; }
file=$(ls "$store"/live/*/made)
journal=$(ls "$store"/journal/*.log)

for manner in eio short; do
  words="blob|stored bytes of sha256"
  check "verify, of a blob that is $manner" on "$manner" 1000 "$blob" 6 "$words" verify
  check "save, of a blob that is $manner" on "$manner" 1000 "$blob" 6 "$words" save app -o "$work/out.tar"
  check "verify, of tables of packs that are $manner" on "$manner" 0 "$(tables)" 0 - verify
  check "save, of tables of packs that are $manner" on "$manner" 4096 "$(tables)" 0 - save app -o "$work/out.tar"
  words="live/.* (/made|has been changed at /made)"
  check "verify --live, of a file that is $manner" on "$manner" 0 "$file" 6 "$words" verify --live
  check "save, of a file of a directory that is $manner" on "$manner" 0 "$file" 0 - save app -o "$work/out.tar"
done
for command in images verify "save app -o $work/out.tar" prune "$build $work/context"; do
  # shellcheck disable=SC2086
  check "${command%% *}, of a journal that is eio" on eio 0 "$journal" 6 "journal.*" $command
done
check "the disk reads again, and all is there" as_user "$wythe" verify
check "and is what it was" as_user "$wythe" run app cat /made /small
