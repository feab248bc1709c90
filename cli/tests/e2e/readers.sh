#!/bin/bash
# readers.sh WYTHE USER DIR BASE: who else reads images pulls and runs what was pushed, in every form in which images leave.
#
# containerd by its own client, podman, docker, and skopeo with umoci: those that are installed. As root, with a containerd and a dockerd of
# its own below DIR that end with this; the images are built and pushed by USER. BASE is the layout that base.sh makes. Needs
# docker-registry, and runc. Where containerd-stargz-grpc and ctr-remote of the stargz snapshotter are, of which Debian has the
# second alone, a container runs from an eStargz image that is not fetched.
set -euo pipefail
wythe=$1 user=$2 dir=$3/readers base=$4
here=$(cd "$(dirname "$0")" && pwd)
mkdir "$dir"
# Podman wants a path of fifty characters at most.
run=$(mktemp -d /tmp/readers.XXXXXX)
pids=()
end() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
  awk -v dir="$dir/" -v run="$run/" 'index($2, dir) == 1 || index($2, run) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
  rm -rf --one-file-system "$dir" "$run"
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
build lambda --for lambda -o "type=registry,name=$name:lambda"
build chunked -o "type=registry,name=$name:chunked,compression=zstd:chunked"
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
if command -v containerd > /dev/null; then
  containerd --config "$dir/containerd.toml" > "$dir/containerd.log" 2>&1 &
  pids+=($!)
  await command ctr --address "$dir/socket" --namespace wythe version > /dev/null 2>&1
fi
ctr() { command ctr --address "$dir/socket" --namespace wythe "$@"; }

# Newer ones leave pulls to the daemon unless they are told, which has other snapshotters unpack.
by_client=()
if ctr images pull --help 2>&1 | grep -q -- --local; then by_client=(--local); fi

# What a reader prints of a container: each is called with an image.
read_by_containerd() {
  ctr images pull "${by_client[@]}" --plain-http --snapshotter native "$1" &&
    ctr run --rm --snapshotter native "$1" "run-${1##*:}" > "$dir/out" < /dev/null
}
read_by_podman() {
  podman "${podman[@]}" pull -q --tls-verify=false "$1" && podman "${podman[@]}" run "${limits[@]}" --rm --network none "$1" > "$dir/out" < /dev/null
}
podman=(--root "$dir/podman" --runroot "$run" --storage-driver vfs --cgroup-manager cgroupfs --runtime runc)
# Who is root in a container may not raise them.
limits=(--ulimit nofile=1024:1024 --ulimit nproc=1000:1000)
read_by_docker() {
  docker -H "unix://$dir/docker-socket" pull -q "$1" &&
    docker -H "unix://$dir/docker-socket" run --rm --network none "$1" > "$dir/out" < /dev/null
}
# It runs nothing: what the command would print is in the files, and what tar keeps beside them is looked at.
read_by_umoci() {
  rm -rf "$dir/umoci"
  mkdir "$dir/umoci"
  skopeo copy -q --src-tls-verify=false "docker://$1" "oci:$dir/umoci/image:1" &&
    umoci unpack --image "$dir/umoci/image:1" "$dir/umoci/bundle" &&
    cat "$dir/umoci/bundle/rootfs/made" "$dir/umoci/bundle/rootfs/linked" > "$dir/out" &&
    [ "$(stat -c %a "$dir/umoci/bundle/rootfs/bin/busybox")" = 4711 ] &&
    [ "$(stat -c %h "$dir/umoci/bundle/rootfs/made")" = 2 ]
}

# knows READER TAG: Debian 12's umoci is older than zstd.
knows() { [[ $1-$2 != umoci-@(zstd|chunked) ]] || ! umoci --version | grep -q 'version 0\.4\.'; }

readers=()
present() {
  if command -v "$2" > /dev/null && command -v "$3" > /dev/null; then readers+=("$1"); else echo "not run: $1 is not installed"; fi
}
present containerd containerd ctr
present podman podman podman
present docker dockerd docker
present umoci skopeo umoci
if [[ " ${readers[*]} " = *" docker "* ]]; then
  dockerd --data-root "$dir/docker" --exec-root "$dir/docker-run" --pidfile "$dir/docker-pid" -H "unix://$dir/docker-socket" \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false > "$dir/dockerd.log" 2>&1 &
  pids+=($!)
  await docker -H "unix://$dir/docker-socket" version > /dev/null 2>&1
fi

passed=0 failed=0
for reader in "${readers[@]}"; do
  has_read=()
  for image in "${tags[@]/#/$name:}" "127.0.0.1:$port/other/app:copied"; do
    knows "$reader" "${image##*:}" || continue
    : > "$dir/out"
    if "read_by_$reader" "$image" > "$dir/read.log" 2>&1 && [ "$(cat "$dir/out")" = $'42\n42' ]; then
      has_read+=("${image##*:}")
      passed=$((passed + 1))
    else
      echo "$reader: $image: FAILED"
      tail -n 20 "$dir/read.log" "$dir/out"
      failed=$((failed + 1))
    fi
  done
  echo "$reader has read: ${has_read[*]}"
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
