# A server of the remote execution API as a cache, BuildGrid from PyPI: cold and warm, a long layer, over TLS, a branch,
# signatures, a server that has a bad day, and none at all.
. "$CASES/../buildgrid.sh"
mkdir context
head -c 6000000 /dev/urandom > context/long
printf 'FROM base\nRUN date +%%N > /chance\nCOPY long /long\nRUN cat /chance > /copied\n' > context/Dockerfile
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" context 2> log || { cat log; return 1; }
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
cache=type=reapi,url=grpc://127.0.0.1:$port/team
build cold --cache-to "$cache,mode=max,ignore-error=false"
[ "$(ran)" = 3 ]
grep -q '3 results written, 3 layers sent' log
build warm --cache-from "$cache" --cache-to "$cache,mode=max,ignore-error=false"
[ "$(ran)" = 0 ]
cmp cold.tar warm.tar
if grep -q 'results written' log; then exit 1; fi
"$WYTHE" --store warm verify
# Over TLS, where the server is known, and where it is not.
SSL_CERT_FILE=$PWD/server.crt build encrypted --cache-from "type=reapi,url=grpcs://127.0.0.1:$secure/team" \
  --cache-to "type=reapi,url=grpcs://127.0.0.1:$secure/team,mode=max,ignore-error=false"
[ "$(ran)" = 0 ]
cmp cold.tar encrypted.tar
build stranger --cache-from "type=reapi,url=grpcs://127.0.0.1:$secure/team"
[ "$(ran)" = 3 ]
grep -q 'goes on without it' log
build branch --cache-from "$cache,scope=x" --cache-to "$cache,scope=x,ignore-error=false"
[ "$(ran)" = 3 ]
build again --cache-from "$cache,scope=x"
[ "$(ran)" = 0 ]
openssl genpkey -algorithm ed25519 -out key.pem 2> /dev/null
openssl pkey -in key.pem -pubout -out key.pub
build refused --cache-from "$cache" --cache-verify-key key.pub
[ "$(ran)" = 3 ]
grep -q 'not signed: not used' log
build other --cache-from "$cache" --cache-from "${cache}x"
[ "$(ran)" = 0 ]
# A bad day: no build fails, hangs or makes another image of it, and what the cache has stays good.
echo sound > mode
venv/bin/python "$CASES/../faulty_grpc.py" proxy.port "$port" mode 2> proxy.log &
proxy=$!
tries=0
until [ -s proxy.port ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.1
done
faulty=type=reapi,url=grpc://127.0.0.1:$(cat proxy.port)/team,scope=faulty
# faulted STORE [FLAG…]: a build by way of the proxy, whose files have to be in step with each other.
faulted() {
  store=$1
  shift
  rm -rf files "$store"
  timeout 60 "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o type=local,dest=files \
    --cache-from "$faulty,timeout=2" --cache-to "$faulty,mode=max,timeout=2" "$@" context 2> log || { cat log; return 1; }
  cmp files/chance files/copied
  cmp files/long context/long
  "$WYTHE" --store "$store" verify
}
faulted sound
[ "$(ran)" = 3 ] && grep -q '3 results written' log || { cat log; false; }
cp files/chance chance
for mode in slow full denied busy away reset; do
  echo "reapi $mode"
  echo "$mode" > mode
  faulted bad
  case $mode in
    slow | denied | busy | away) [ "$(ran)" = 3 ] && grep -q 'goes on without it' log || { cat log; false; } ;;
    # What is there can be read, and nothing has to be written.
    full) [ "$(ran)" = 0 ] || { cat log; false; } ;;
  esac
  case $mode in
    full | denied)
      echo "RUN echo $mode" >> context/Dockerfile
      faulted writer
      grep -q 'the cache was not written' log || { cat log; false; }
      sed -i '$d' context/Dockerfile
      ;;
  esac
done
echo sound > mode
faulted after
[ "$(ran)" = 0 ] || { cat log; false; }
cmp files/chance chance
# Bytes that are others are found out, and whoever makes them again writes over them.
for mode in lying truncated; do
  echo "reapi $mode"
  echo "$mode" > mode
  faulted bad
  grep -q 'it runs' log || { cat log; false; }
  echo sound > mode
  faulted mended
  [ "$(ran)" = 0 ] || { cat log; false; }
done

kill "$pid"
build dead --cache-from "$cache" --cache-to "$cache"
[ "$(ran)" = 3 ]
