# Cache mounts in a registry: restored on an empty store; after one file of a hundred changed, only a small pack goes over
# the line, in few requests; a pack that is not what it was reaches no step.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
port=$("$CASES/../ports" 1)
pid=
trap '[ -z "$pid" ] || kill $pid' EXIT
printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
  "$PWD/data" "$port" > registry.yml
docker-registry serve registry.yml > registry.log 2>&1 &
pid=$!
tries=0
until "$CASES/../listening" "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ]
  sleep 0.1
done
cache=type=registry,ref=127.0.0.1:$port/app:cache
mkdir context
cat > context/Dockerfile << 'X'
FROM base
ARG DO
RUN --mount=type=cache,id=npm,target=/c eval "$DO"
X
step() {
  store=$1 do=$2
  shift 2
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o type=cacheonly \
    --build-arg "DO=$do" "$@" context 2> log || { cat log; return 1; }
}
requests() { grep -c '"[A-Z]* /v2/' registry.log || true; }
size() { du -sb data | cut -f 1; }
sums='find /c -type f | sort | xargs sha256sum | sha256sum | sed "s/^/SEEN /"; find /c | sort | xargs stat -c "%n %a %Y" | sha256sum | sed "s/^/SEEN /"'

step one 'i=0; while [ $i -lt 200 ]; do head -c 100000 /dev/urandom > /c/$i; i=$((i+1)); done' --cache-to "$cache,mounts=all"
grep -q 'mount npm: 200 files (20.0MB) saved, 2 packs sent' log
grep -q '^summary: .* fetched, 20\.[0-9]*MB sent' log || { cat log; false; }
step one "$sums # 1"
grep SEEN log > expected
step two "$sums # 2" --cache-from "$cache"
grep -q 'mount npm restored' log
grep SEEN log | cut -d ' ' -f 2- | cmp - expected 2> /dev/null || { grep -o 'SEEN.*' log > found; grep -o 'SEEN.*' expected | cmp - found; }

# One of a hundred files.
before=$(size) asked=$(requests)
step two 'for i in 3 150; do head -c 100000 /dev/urandom > /c/$i; done' --cache-from "$cache" --cache-to "$cache,mounts=npm"
grep -q 'mount npm: 200 files .* 1 packs sent' log
sleep 0.2
echo "bytes $(($(size) - before)) requests $(($(requests) - asked))"
[ "$(($(size) - before))" -lt 400000 ]
[ "$(($(requests) - asked))" -lt 60 ]
step two "$sums # 3"
grep -o 'SEEN.*' log > expected
step three "$sums # 4" --cache-from "$cache"
grep -o 'SEEN.*' log | cmp - expected

# Two branches: what was saved last counts, whichever is named first.
other=type=registry,ref=127.0.0.1:$port/app:other
step three 'echo newest > /c/newest' --cache-to "$other,mounts=npm"
step four 'cat /c/newest' --cache-from "$cache" --cache-from "$other"
step five 'cat /c/newest # 5' --cache-from "$other" --cache-from "$cache"

# A pack that is not what it was.
for blob in $(find data -path '*blobs/sha256*' -name data -size +1000k); do
  printf x | dd of="$blob" bs=1 seek=500000 conv=notrunc 2> /dev/null
done
step six '[ -z "$(ls /c)" ]' --cache-from "$cache"
grep -q 'cannot restore cache mount npm' log
