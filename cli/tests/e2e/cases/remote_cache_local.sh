# A directory as a cache: an empty store runs no step and has the same image; a blob that is cut short is no matter.
mkdir context
echo one > context/a
cat > context/Dockerfile << 'X'
FROM base
RUN date +%N > /chance
COPY a /a
RUN cat /a > /copied
X
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" context 2> log || { cat log; return 1; }
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
build cold --cache-to type=local,dest=cache
[ "$(ran)" = 3 ]
build warm --cache-from type=local,src=cache
[ "$(ran)" = 0 ]
cmp cold.tar warm.tar
"$WYTHE" --store warm verify
# By the environment, and by the store alone.
WYTHE_CACHE_FROM=type=local,src=cache build variable
[ "$(ran)" = 0 ]
build warm
[ "$(ran)" = 0 ]
cmp cold.tar warm.tar
# By a file, unless a variable says that there is none; what makes no sense there is told with its line.
printf '[cache]\nfrom = ["type=local,src=cache"]\nto = ["type=local,dest=second,mode=max"]\n' > own.toml
WYTHE_CONFIG=$PWD/own.toml build file
[ "$(ran)" = 0 ]
WYTHE_CONFIG=$PWD/own.toml WYTHE_CACHE_FROM= build nofile
[ "$(ran)" = 3 ]
[ -f second/index.json ]
printf '[cache]\nfrom = []\nto = ["type=local,dest=x,mdoe=max"]\n' > odd.toml
WYTHE_CONFIG=$PWD/odd.toml fails "$WYTHE" build context 2> log
grep -q 'line 3' log
grep -q mdoe log
# A step over what was found.
printf 'RUN cat /chance /copied > /more\n' >> context/Dockerfile
build more --cache-from type=local,src=cache
[ "$(ran)" = 1 ]
# Its files as well: those below came for the step, in the form that the cache has.
"$WYTHE" --store files build --build-context base=oci-layout://"$BASE" -o type=local,dest=files \
  --cache-from type=local,src=cache context 2> log || { cat log; false; }
cat files/chance files/copied | cmp - files/more
"$WYTHE" --store files verify
# Cut short.
for blob in cache/blobs/sha256/*; do
  [ "$(head -c 2 "$blob" | od -An -tx1 | tr -d ' ')" = 1f8b ] && truncate -s 20 "$blob"
done
build cut --cache-from type=local,src=cache
grep -q 'it runs' log
"$WYTHE" --store cut verify
fails "$WYTHE" build --cache-to type=local,dest=x,mdoe=max context 2> log
grep -q mdoe log
