# A blob of a cache that was damaged in the storage of a registry, and of which the step makes the same bytes again: it reaches no
# image, no push and no deletion through the registry mends it, and once its file is gone the next job that writes does.
command -v docker-registry > /dev/null || skip "docker-registry is not installed"
port=$("$CASES/../ports" 1)
printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
  "$PWD/registry" "$port" > registry.yml
docker-registry serve registry.yml > registry.log 2>&1 &
pid=$!
trap 'kill $pid' EXIT
tries=0
until "$CASES/../listening" "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.1
done
mkdir context
# Longer than what lies together with others.
head -c 400000 /dev/urandom > context/long
printf 'FROM base\nCOPY long /long\n' > context/Dockerfile
# What is made again is the same in all.
export SOURCE_DATE_EPOCH=0
cache=type=registry,ref=127.0.0.1:$port/app:cache
build() {
  rm -rf store "$1.tar"
  "$WYTHE" --store store --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$1.tar" \
    --cache-from "$cache" --cache-to "$cache,mode=max,ignore-error=false" context 2> log || { cat log; return 1; }
  [ "$1" = sound ] || cmp sound.tar "$1.tar"
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
build sound
build warm
[ "$(ran)" = 0 ]
# The only blob of that length.
blob=$(find registry -name data -size +390k)
[ "$(echo "$blob" | wc -l)" = 1 ]
digest=sha256:$(basename "$(dirname "$blob")")
python3 -c 'import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(200000)
    byte = file.read(1)[0]
    file.seek(200000)
    file.write(bytes([byte ^ 1]))' "$blob"
for round in 1 2; do
  build "damaged$round"
  [ "$(ran)" = 1 ]
done
# Through the registry: the repository has it no more, and what is pushed then is not looked at.
python3 -c 'import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="DELETE")).close()' "http://127.0.0.1:$port/v2/app/blobs/$digest"
build deleted
[ "$(ran)" = 1 ]
build still
[ "$(ran)" = 1 ]
rm "$blob"
build removed
[ "$(ran)" = 1 ]
build mended
[ "$(ran)" = 0 ]
