#!/bin/bash
# A real Debian base, real packages, several stages; the result is pushed to a real registry, read
# by the tools people use, and compared file by file with what buildah makes of the same Dockerfile.
#
# Needs: mmdebstrap docker-registry skopeo umoci runc buildah openssh-client procps; network access to a Debian mirror.
# Usage: debian.sh [ROOTFS.tar]   (a Debian bookworm root file system; made when not given)
. "$(dirname "$0")/lib.sh"
rootfs=${1:-$work/bookworm.tar}
[ -e "$rootfs" ] || mmdebstrap --quiet --variant=minbase bookworm "$rootfs"

start_registry
base=$registry/debian:bookworm
umoci init --layout "$work/base" && umoci new --image "$work/base:bookworm" &&
  umoci raw add-layer --image "$work/base:bookworm" "$rootfs" &&
  umoci config --image "$work/base:bookworm" --config.cmd bash &&
  skopeo copy -q --dest-tls-verify=false "oci:$work/base:bookworm" "docker://$base" || exit 1
sh "$here/make_sources.sh" "$work/context"
cp "$here/debian.Dockerfile" "$work/context/Dockerfile"

w() { "$wythe" --store "$work/store" "$@"; }
ours=$registry/wythe/greet:1
theirs=$registry/buildah/greet:1

build_and_push() { w build -t "$ours" --push --build-arg "BASE=$base" "$work/context"; }
inspect() { skopeo inspect --tls-verify=false "docker://$ours" | grep -q '"GREETING=/opt/app/greeting"'; }
copy() { skopeo copy -q --src-tls-verify=false "docker://$ours" "oci:$work/ours:1"; }
unpack() { umoci unpack --rootless --image "$work/ours:1" "$work/bundle" && [ -x "$work/bundle/rootfs/opt/app/bin/greet" ]; }
# The owners of a rootless bundle are not those of the image: what runs is root of the bundle.
runs() {
  sed -i 's/"terminal": true/"terminal": false/; s/"\([ug]id\)": 1500/"\1": 0/' "$work/bundle/config.json"
  local runtime
  for runtime in crun runc; do
    XDG_RUNTIME_DIR=$work "$runtime" --root "$work/$runtime" run -b "$work/bundle" "greet-$$" > "$work/run.out" 2>&1 &&
      grep -q 'hello from 38 parts, sum 741' "$work/run.out" && return
  done
  cat "$work/run.out"
  return 1
}
runs_here() { [ "$(w run "$ours")" = "hello from 38 parts, sum 741" ]; }
cached() {
  w build -t "$ours" --progress plain --build-arg "BASE=$base" "$work/context" > "$work/cached.log" 2>&1 &&
    grep -q CACHED "$work/cached.log" && ! grep DONE "$work/cached.log"
}
# What a step finds in the agent it is given are the keys of the files, and nothing of it is left running.
keys() {
  ssh-keygen -q -t ed25519 -N '' -C deploy-key -f "$work/key" &&
    w build -q -t tools --target build --build-arg "BASE=$base" "$work/context" &&
    printf 'FROM tools\nRUN --mount=type=ssh,id=deploy,required ssh-add -l | grep -q deploy-key\n' > "$work/keys.Dockerfile" &&
    w build -f "$work/keys.Dockerfile" --ssh "deploy=$work/key" "$work/context" &&
    ! ps -o stat=,args= -u "$(id -u)" | grep -v '^Z' | grep 'ssh-agen[t] -a'
}
with_buildah() {
  local g="--root $work/g --runroot $work/r"
  buildah $g build -q --isolation chroot --layers --tls-verify=false -t "$theirs" --build-arg "BASE=$base" "$work/context" &&
    buildah $g push -q --tls-verify=false "$theirs" &&
    skopeo copy -q --src-tls-verify=false "docker://$theirs" "oci:$work/theirs:1"
}
same_tree() { "$here/compare_trees.py" "$work/ours" "$work/theirs" --except "$here/install_differences.txt"; }

check "a multi-stage build on Debian with real packages succeeds and is pushed" build_and_push
check "skopeo inspects the pushed image" inspect
check "skopeo copies the pushed image" copy
check "umoci unpacks it" unpack
check "an OCI runtime runs it" runs
check "wythe run starts it" runs_here
check "a second build runs no step" cached
check "a key file given with --ssh is in the agent of a step" keys
check "buildah builds the same Dockerfile" with_buildah
check "paths, types, owners, modes and contents are those of buildah's image" same_tree
