# A registry as a cache: an empty store runs no step and fetches no layer for a push to it; jobs that write at once lose
# nothing; what is dead, lies or is none of ours fails no build.
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
host=127.0.0.1:$port
cache=type=registry,ref=$host/app:cache
mkdir context
echo one > context/a
cat > context/Dockerfile << 'X'
FROM base AS made
RUN echo made > /made && date +%N > /when
FROM base
RUN echo below > /below && date +%N > /chance
COPY a /a
RUN cat /a > /copied
COPY --from=made /made /when /
X
# build STORE TAG [FLAG…]: pushes, and leaves what was said in log and the digest in digest.
build() {
  store=$1 tag=$2
  shift 2
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -t "$host/app:$tag" --push \
    "$@" context > out 2> log || { cat log; return 1; }
  digest=$(grep -o 'sha256:[0-9a-f]*' out | head -n 1)
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
layers() { grep -c 'GET /v2/app/blobs/.* 200 ' registry.log || true; }

build cold 1 --cache-to "$cache,mode=max"
cold=$digest
[ "$(ran)" = 5 ]
grep -q '5 results written' log
# All is there: nothing is written again.
build cold 1 --cache-to "$cache,mode=max"
fails grep -q 'results written' log

# An empty store: no step runs, and no blob is read: the records come with the index.
before=$(layers)
build warm 2 --cache-from "$cache"
[ "$(ran)" = 0 ]
[ "$digest" = "$cold" ]
sleep 0.2
[ "$(layers)" = "$before" ]
[ -z "$(ls warm/live 2> /dev/null)" ]
grep -q '^summary: 4 steps: 0 ran, 4 in registry ' log
"$WYTHE" --store warm verify

# One file changed: what does not depend on it is found.
echo two > context/a
build changed 3 --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 3 ]
[ "$("$WYTHE" --store changed run "$host/app:3" cat /copied)" = two ]
changed=$digest
build again 4 --cache-from "$cache"
[ "$(ran)" = 0 ] && [ "$digest" = "$changed" ]
echo one > context/a
build back 5 --cache-from "$cache"
[ "$(ran)" = 0 ] && [ "$digest" = "$cold" ]
# Into the store all of it comes.
"$WYTHE" --store kept build --build-context base=oci-layout://"$BASE" -t app:1 --cache-from "$cache" context
[ "$("$WYTHE" --store kept run app:1 cat /copied)" = one ]
"$WYTHE" --store kept verify

# Jobs that write at the same time lose nothing.
jobs=
for n in 1 2 3; do
  mkdir "job$n"
  printf 'FROM base\nRUN echo %s > /x\n' "$n" > "job$n/Dockerfile"
  "$WYTHE" --store "s$n" build --build-context base=oci-layout://"$BASE" -o type=cacheonly --cache-to "$cache" "job$n" &
  jobs="$jobs $!"
done
for job in $jobs; do wait "$job"; done
for n in 1 2 3; do
  "$WYTHE" --store "t$n" --progress plain build --build-context base=oci-layout://"$BASE" -o type=cacheonly \
    --cache-from "$cache" "job$n" 2> log
  [ "$(ran)" = 0 ]
done

# What is not a cache of ours stays.
build cold image
build other 6 --cache-to "type=registry,ref=$host/app:image"
"$WYTHE" --store o pull "$host/app:image" > /dev/null
build sibling 7 --cache-from "$host/app:image"
grep -q CACHED log

# An image that carries its records is its own cache.
build cold inline --cache-to type=inline
inlined=$digest
build bare inline2 --cache-to type=inline --cache-from "$host/app:inline"
[ "$(ran)" = 0 ] || { cat log; false; }
[ "$digest" = "$inlined" ]

# Times are changed in layers of a cache, too.
for store in clamped unclamped; do
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" --build-arg SOURCE_DATE_EPOCH=1 \
    -o "type=registry,name=$host/app:$store,rewrite-timestamp=true" --cache-from "$cache" --cache-to "$cache,mode=max" \
    context > "$store.out" 2> log
done
[ "$(ran)" = 0 ]
cmp clamped.out unclamped.out

# Blobs that are not what they were: the steps run.
for blob in $(find data -path '*blobs/sha256*' -name data -size +0); do
  # Layers are the only ones that are compressed.
  [ "$(head -c 2 "$blob" | od -An -tx1 | tr -d ' ')" = 1f8b ] && echo lie > "$blob"
done
"$WYTHE" --store lied --progress plain build --build-context base=oci-layout://"$BASE" -t app:1 --cache-from "$cache" \
  context 2> log
grep -q 'it runs' log
[ "$("$WYTHE" --store lied run app:1 cat /copied)" = one ]
"$WYTHE" --store lied verify

# A server that is dead.
kill $pid
pid=
"$WYTHE" --store dead --progress plain build --build-context base=oci-layout://"$BASE" -t app:1 --cache-from "$cache" \
  --cache-to "$cache,timeout=30" context 2> log
grep -q 'goes on without it' log
grep -q 'the cache was not written' log
