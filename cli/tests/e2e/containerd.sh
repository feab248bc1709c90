#!/bin/bash
# containerd.sh WYTHE USER DIR BASE: containerd's own client pulls and runs what was pushed, in every form in which images leave.
#
# As root, with a containerd of its own below DIR that ends with this; the images are built and pushed by USER. BASE is the
# layout that base.sh makes. Needs Debian's containerd, runc and docker-registry. Where containerd-stargz-grpc and ctr-remote of the
# stargz snapshotter are, of which Debian has the second alone, a container runs from an eStargz image that is not fetched.
set -euo pipefail
wythe=$1 user=$2 dir=$3/containerd base=$4
here=$(cd "$(dirname "$0")" && pwd)
mkdir "$dir"
pids=()
end() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
  awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
  rm -rf --one-file-system "$dir"
}
trap end EXIT

await() {
  local tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "no answer: $*"; cat "$dir"/*.log; exit 1; }
    sleep 0.1
  done
}

port=$("$here/ports" 1)
printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
  "$dir/registry" "$port" > "$dir/registry.yml"
docker-registry serve "$dir/registry.yml" > "$dir/registry.log" 2>&1 &
pids+=($!)
await "$here/listening" "$port"

mkdir "$dir/own" "$dir/own/context"
printf 'FROM base\nRUN echo $((6 * 7)) > /made && ln /made /linked && chmod 4711 /bin/busybox\nCOPY Dockerfile /\nCMD ["cat", "/made", "/linked"]\n' \
  > "$dir/own/context/Dockerfile"
chown -R "$user:" "$dir/own"
name=127.0.0.1:$port/team/app
own() {
  runuser -u "$user" -- env HOME="$dir/own" TMPDIR="$dir/own" WYTHE_MIN_FREE_SPACE=0 \
    "$wythe" --store "$dir/own/store" --progress=quiet "$@" > /dev/null
}
build() {
  local tag=$1
  shift
  own build --build-context "base=oci-layout://$base" "$@" "$dir/own/context"
  tags+=("$tag")
}
tags=()
build gzip -o "type=registry,name=$name:gzip"
build zstd -o "type=registry,name=$name:zstd,compression=zstd"
build estargz -o "type=registry,name=$name:estargz,compression=estargz"
build plain -o "type=registry,name=$name:plain,compression=uncompressed"
build docker -o "type=registry,name=$name:docker,oci-mediatypes=false"
build stated --provenance=true -o "type=registry,name=$name:stated"
own copy "docker://$name:stated" "docker://127.0.0.1:$port/other/app:copied"

lazily=
if command -v containerd-stargz-grpc > /dev/null && command -v ctr-remote > /dev/null; then
  lazily=yes
  printf 'noprefetch = true\nno_background_fetch = true\n' > "$dir/stargz.toml"
  containerd-stargz-grpc --address "$dir/stargz" --root "$dir/lazy" --config "$dir/stargz.toml" > "$dir/stargz.log" 2>&1 &
  pids+=($!)
  await test -S "$dir/stargz"
fi
cat > "$dir/containerd.toml" <<END
version = 2
root = "$dir/root"
state = "$dir/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$dir/socket"
[ttrpc]
  address = "$dir/ttrpc"
[proxy_plugins.stargz]
  type = "snapshot"
  address = "$dir/stargz"
END
containerd --config "$dir/containerd.toml" > "$dir/containerd.log" 2>&1 &
pids+=($!)
ctr() { command ctr --address "$dir/socket" --namespace wythe "$@"; }
answers() { ctr version > /dev/null 2>&1; }
await answers

passed=0 failed=0
for image in "${tags[@]/#/$name:}" "127.0.0.1:$port/other/app:copied"; do
  if ctr images pull --plain-http --snapshotter native "$image" > "$dir/pull.log" 2>&1 &&
    found=$(ctr run --rm --snapshotter native "$image" "run-${image##*:}" 2> "$dir/run.log" < /dev/null) && [ "$found" = $'42\n42' ]; then
    echo "$image: pulled and run"
    passed=$((passed + 1))
  else
    echo "$image: FAILED"
    tail -n 20 "$dir/pull.log" "$dir/run.log"
    failed=$((failed + 1))
  fi
done

# fetched: the bytes of layers that the registry has been asked for.
fetched() { awk '$6 == "\"GET" && $7 ~ /\/blobs\// { sum += $10 } END { print sum + 0 }' "$dir/registry.log"; }

if [ -n "$lazily" ]; then
  head -c 20000000 /dev/urandom > "$dir/own/context/unread"
  printf 'FROM base\nCOPY unread /data/unread\nCOPY Dockerfile /read\nCMD ["grep", "-c", "^COPY", "/read"]\n' > "$dir/own/context/Dockerfile"
  build lazy -o "type=registry,name=$name:lazy,compression=estargz,force-compression=true"
  before=$(fetched)
  if ctr-remote --address "$dir/socket" --namespace wythe images rpull --plain-http --snapshotter stargz "$name:lazy" > "$dir/pull.log" 2>&1 &&
    pulled=$(($(fetched) - before)) &&
    found=$(ctr run --rm --snapshotter stargz "$name:lazy" run-lazy 2> "$dir/run.log" < /dev/null) && [ "$found" = 2 ] &&
    [ "$pulled" -lt 200000 ] && [ $(($(fetched) - before)) -lt 4000000 ]; then
    echo "$name:lazy: run of 20 MB, of which $pulled bytes were fetched before, and $(($(fetched) - before)) in all"
    passed=$((passed + 1))
  else
    echo "$name:lazy: FAILED"
    tail -n 20 "$dir/pull.log" "$dir/run.log" "$dir/stargz.log"
    failed=$((failed + 1))
  fi
else
  echo "not run: containerd-stargz-grpc and ctr-remote are not installed"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
