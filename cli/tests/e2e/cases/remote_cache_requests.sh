# What a build on an empty store asks a registry for, when a cache answers it whole and it is pushed there: what the tag of
# the base stands for, the cache, and the name of the image. That is less than a tenth of what BuildKit asks for.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
. "$CASES/../counting.sh"
port=$("$CASES/../ports" 1)
counting_registry "$port"
host=127.0.0.1:$port
cache=type=registry,ref=$host/app:cache
mkdir context plain
printf 'FROM base\nENV HERE=1\n' > plain/Dockerfile
"$WYTHE" --store maker build --build-context base=oci-layout://"$BASE" -t "$host/base:1" --push plain > base.digest
cat > context/Dockerfile << X
ARG BASE=$host/base:1
FROM \$BASE AS made
RUN echo made > /made && date +%N > /when
FROM \$BASE
RUN date +%N > /chance
COPY --from=made /made /when /
X
build() {
  store=$1 tag=$2
  shift 2
  "$WYTHE" --store "$store" --progress plain build -t "$host/app:$tag" --push "$@" context > out 2> log.text || { cat log.text; return 1; }
}
ran() { grep -c '^#[0-9]* DONE ' log.text || true; }
# asked: the requests since it was asked last, without digests.
asked() {
  since "$port"
  grep -o '"[A-Z]* /v2/[^ ]*' log | tr -d '"' | sed 's/sha256:[0-9a-f]*/DIGEST/' | sort
}
build cold 1 --cache-to "$cache,mode=max"
[ "$(ran)" = 3 ]
asked > cold.asked
# The image is not asked for where a layer of it was sent a moment ago.
[ "$(grep -c 'HEAD /v2/app/manifests/' cold.asked || true)" = 0 ]

build warm 2 --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 0 ]
asked > warm.asked
cat > expected << 'X'
GET /v2/app/manifests/cache
GET /v2/base/manifests/1
PUT /v2/app/manifests/2
X
diff expected warm.asked

# Where the image is known to nobody it is asked for as a whole.
"$WYTHE" --store warm push "$host/app:2" > /dev/null
asked > again.asked
diff - again.asked << 'X'
HEAD /v2/app/manifests/DIGEST
PUT /v2/app/manifests/2
X

# Of a base that is named by its digest nothing is asked at all, once a build has had it.
pinned=$host/base:1@$(grep -o 'sha256:[0-9a-f]*' base.digest | head -n 1)
printf 'RUN echo more > /more\n' >> context/Dockerfile
build pinned-cold 3 --build-arg "BASE=$pinned" --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 1 ]
asked > /dev/null
build pinned-warm 4 --build-arg "BASE=$pinned" --cache-from "$cache"
[ "$(ran)" = 0 ]
asked > warm.asked
sed '/base/d; s/2$/4/' expected | diff - warm.asked
"$WYTHE" --store pinned-warm verify
# What is pushed that way can be used.
"$WYTHE" --store used pull "$host/app:4" > /dev/null
[ "$("$WYTHE" --store used run "$host/app:4" cat /made)" = made ]

# Into another repository of the registry layers are taken from that of the cache, and the other way round.
"$WYTHE" --store moved build -t "$host/third:1" --push --cache-from "$cache" context > /dev/null 2> log.text
asked > moved.asked
[ "$(grep -c 'PUT /v2/third/blobs/' moved.asked || true)" = 0 ] || { cat moved.asked; false; }
[ "$(grep -c 'POST /v2/third/blobs/uploads/?.*mount=' moved.asked)" -ge 4 ] || { cat moved.asked; false; }
"$WYTHE" --store kept --progress plain build -t "$host/fourth:1" --push --no-cache \
  --cache-to "type=registry,ref=$host/cache:app,mode=max" context > /dev/null 2> log.text
asked > kept.asked
# Layers that are at the registry by then are taken from there, and the others go together: twelve requests at most.
[ "$(grep -c ' /v2/cache/' kept.asked)" -le 12 ] || { cat kept.asked; false; }

# However many small layers a cold build makes, to keep them is nine requests: the tag three times, one upload of all of
# them, one of the records, the pack, and the tag. They come back with two, the tag and that upload.
mkdir stages
for stage in 1 2 3 4 5 6 7 8; do
  printf 'FROM %s AS s%s\nRUN echo %s > /made && date +%%N > /when\n' "$host/base:1" "$stage" "$stage"
done > stages/Dockerfile
echo "FROM $host/base:1" >> stages/Dockerfile
for stage in 1 2 3 4 5 6 7 8; do echo "COPY --from=s$stage /made /made$stage" >> stages/Dockerfile; done
asked > /dev/null
"$WYTHE" --store stages1 --progress plain build -o type=cacheonly --cache-to "type=registry,ref=$host/stages:cache,mode=max" stages 2> log.text
grep -q '16 results written, 16 layers sent' log.text || { cat log.text; false; }
asked > stages.asked
[ "$(grep -c ' /v2/stages/' stages.asked)" = 9 ] || { cat stages.asked; false; }
"$WYTHE" --store stages2 --progress plain build -o type=local,dest=stages.files --cache-from "$host/stages:cache" stages 2> log.text
[ "$(ran)" = 0 ]
asked > stages.asked
[ "$(grep -c ' /v2/stages/' stages.asked)" = 2 ] || { cat stages.asked; false; }
[ "$(cat stages.files/made8)" = 8 ]
