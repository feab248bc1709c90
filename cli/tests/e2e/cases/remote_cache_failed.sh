# What steps have made of a build that fails, or is interrupted, is found by the next machine.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
cache=type=registry,ref=$REGISTRY/failed:cache
mkdir context
printf 'FROM base\nRUN date +%%N > /one\nRUN date +%%N > /two\nRUN echo three > /three && exit 7\n' > context/Dockerfile
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o type=cacheonly "$@" context 2> log
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
fails build broken --cache-to "$cache,mode=max"
[ "$(ran)" = 2 ]
grep -q '2 results written, 2 layers sent' log
grep -q 'RUN echo three' log

sed -i 's/ && exit 7//' context/Dockerfile
build mended --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 1 ]
grep -q '^summary: .* 2 in registry' log

# Interrupted while a step runs: what was there by then is found. A cache that is dead holds nobody up.
printf 'FROM base\nRUN date +%%N > /first\nRUN echo begun && sleep 600\n' > context/Dockerfile
for to in "$cache" type=http,url=http://127.0.0.1:1/x; do
  # What the loop waits for is said by this build.
  rm log
  "$WYTHE" --store interrupted --progress plain build --build-context base=oci-layout://"$BASE" -o type=cacheonly \
    --cache-to "$to,mode=max" context 2> log &
  pid=$!
  tries=0
  until grep -q ' begun$' log 2> /dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ]
    sleep 0.1
  done
  kill -INT $pid
  fails wait $pid
done
sed -i 's/ && sleep 600//' context/Dockerfile
build resumed --cache-from "$cache"
[ "$(ran)" = 1 ] || { cat log; false; }
