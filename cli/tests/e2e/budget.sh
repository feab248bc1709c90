#!/bin/bash
# A store that stays small by itself: many versions of one layer, of which each changes one file in a
# hundred and is made ready to be pushed; the newest keep their names. The store is never above its budget
# by more than what one build adds, the newest can still be had, and builds stay as fast as they were.
#
# Usage: budget.sh [VERSIONS [MEGABYTES [BUDGET [NAMES]]]]   (default 30 versions of 20 MB in 23 MB, 5 names)
# The long form is `budget.sh 200 300 1000 20`.
. "$(dirname "$0")/lib.sh"
versions=${1:-30}
size=${2:-20}
budget=${3:-23}
names=${4:-5}
# Files of the layer, of which each version changes a hundredth.
files=$((size * 10))
changed=$(((files + 99) / 100))
# What a version adds, twice, for contents and their compressed form, and what is around them.
one_build=$((changed * 100 * 2 + 2000))
export WYTHE_MAX_USED_SPACE=${budget}m WYTHE_MIN_FREE_SPACE=0
w() { "$wythe" --store "$work/store" --progress quiet "$@"; }

mkdir -p "$work/context"
printf 'FROM scratch\nCOPY files /\n' > "$work/context/Dockerfile"
mkdir "$work/context/files"
# change FIRST COUNT: other contents, which half compress.
change() {
  local i
  for i in $(seq "$1" $(($1 + $2 - 1))); do
    { head -c 50000 /dev/urandom; head -c 50000 /dev/zero; } > "$work/context/files/$((i % files))"
  done
}
change 0 "$files"

one() {
  local before after
  change $((version * changed)) "$changed"
  before=$(date +%s%N)
  w build -t "app:$version" -o type=oci,dest="$work/out.tar" -o type=image "$work/context" > /dev/null || return 1
  after=$(date +%s%N)
  echo $(((after - before) / 1000000)) >> "$work/times"
  if [ "$version" -gt "$names" ]; then w rmi "app:$((version - names))" > /dev/null || return 1; fi
  du -sk "$work/store" | cut -f1 >> "$work/sizes"
}

all() { for version in $(seq "$versions"); do one || return 1; done; }
within() {
  local most
  most=$(sort -n "$work/sizes" | tail -1)
  echo "the most was $most KiB of $((budget * 1024)) and $one_build for a build"
  [ "$most" -le $((budget * 1024 + one_build)) ]
}
newest() {
  local version
  for version in $(seq $((versions - names + 1)) "$versions"); do w save -o "$work/saved.tar" "app:$version" || return 1; done
}
median() { sort -n | awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)]}'; }
# The first is left out: it has everything to do.
flat() {
  local first last
  first=$(sed -n 2,11p "$work/times" | median)
  last=$(tail -10 "$work/times" | median)
  echo "median of ten builds: first $first ms, last $last ms"
  [ "$last" -le $((first * 2 + 50)) ]
}

check "$versions versions of $size MB are built and written out" all
check "the store is never above its budget by more than a build" within
check "the newest $names can still be had" newest
check "the last ten builds take as long as the first ten" flat
check "nothing is damaged" w verify
within
flat
w du
