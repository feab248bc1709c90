# Every cache over HTTP behind a proxy that has a bad day: it is dead, slow, full, lying, cut short, reset, refusing, or its
# addresses are no longer good. No build fails, hangs or makes another image of it, and what the cache has stays good; what
# turns out to be something else is written over by who makes it again.
# The remote execution API has a case of its own, remote_cache_reapi.sh, and a directory on a full disk is in full_disk.sh.
command -v python3 > /dev/null || skip "python3 is not installed"
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
pids=
trap '[ -z "$pids" ] || kill $pids 2> /dev/null || true' EXIT
# serve NAME COMMAND…: starts what writes its port to the file NAME.
serve() {
  name=$1
  shift
  "$@" &
  pids="$pids $!"
  tries=0
  until [ -s "$name" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ]
    sleep 0.1
  done
}
serve web python3 "$CASES/../web_service.py" web
serve s3 python3 "$CASES/../s3_service.py" s3
serve gha python3 "$CASES/../gha_service.py" gha
echo "${REGISTRY##*:}" > registry
for server in web s3 gha registry; do
  echo sound > "$server.mode"
  serve "$server.port" python3 "$CASES/../faulty_proxy.py" "$server.port" "$(cat "$server")" "$server.mode"
done
. "$CASES/../cache_services.sh"

mkdir context
echo one > context/a
# A layer that lies apart from others, and small ones.
head -c 400000 /dev/urandom > context/long
printf 'FROM base\nRUN date +%%N > /chance\nCOPY a long /\nRUN cat /chance > /copied\n' > context/Dockerfile
place() {
  case $1 in
    web) echo "type=http,url=http://127.0.0.1:$2/app" ;;
    s3) echo "type=s3,use_path_style=true,endpoint_url=http://127.0.0.1:$2" ;;
    gha) echo "type=gha,version=2,url_v2=http://127.0.0.1:$2/" ;;
    registry) echo "type=registry,ref=127.0.0.1:$2/faults:cache" ;;
  esac
}
build() {
  store=$1 cache=$2
  shift 2
  rm -rf "$store"
  timeout 60 "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" "$@" \
    --cache-from "$cache,timeout=2" --cache-to "$cache,mode=max,timeout=2" context 2> log || { cat log; return 1; }
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
for server in web s3 gha registry; do
  port=$(cat "$server.port") good=$(cat "$server")
  cache=$(place "$server" "$port")
  build "cold-$server" "$cache" -o "type=oci,dest=$server.tar"
  [ "$(ran)" = 3 ] && grep -q '3 results written' log || { cat log; false; }
  for mode in dead slow full 413 403 429 truncated reset expired; do
    echo "$server $mode"
    echo "$mode" > "$server.mode"
    at=$port
    [ "$mode" != dead ] || at=1
    rm -rf files
    build bad "$(place "$server" "$at")" -o type=local,dest=files
    cmp files/chance files/copied
    cmp files/long context/long
    "$WYTHE" --store bad verify
    case $mode in
      dead | slow | 403 | 429) [ "$(ran)" = 3 ] && grep -q 'goes on without it' log ;;
      # What is there can be read, and nothing has to be written.
      full | 413) [ "$(ran)" = 0 ] || [ "$server" = gha ] ;;
    esac || { cat log; false; }
    # One who has something to write is told that it was not.
    case $mode in
      full | 413 | 403)
        echo "$mode" > context/a
        build writer "$(place "$server" "$at")" -o type=cacheonly
        echo one > context/a
        grep -q 'the cache was not written' log || { cat log; false; }
        ;;
    esac
  done
  echo sound > "$server.mode"
  # Whatever happened, the cache is as good as it was, for who comes by another way as well.
  for way in "$port" "$good"; do
    build after "$(place "$server" "$way")" -o "type=oci,dest=after.tar"
    [ "$(ran)" = 0 ] || { cat log; false; }
    # Where GitHub's service showed nothing of what there is, a job has kept what it made instead.
    [ "$server" != gha ] || mv after.tar "$server.tar"
    build again "$(place "$server" "$way")" -o "type=oci,dest=after.tar"
    cmp "$server.tar" after.tar
  done
  # Bytes that are others are found out, and whoever makes them again writes over them.
  echo "$server lying"
  echo lying > "$server.mode"
  rm -rf files
  build bad "$(place "$server" "$port")" -o type=local,dest=files
  grep -q 'it runs' log || { cat log; false; }
  cmp files/chance files/copied
  cmp files/long context/long
  "$WYTHE" --store bad verify
  echo sound > "$server.mode"
  build mended "$(place "$server" "$good")" -o type=local,dest=mended.files
  [ "$(ran)" = 0 ] || { cat log; false; }
  cmp files/chance mended.files/chance
  rm -rf mended.files
done

# An image that carries its records is read through the registry's bad day.
echo inline
image() {
  store=$1 from=$2
  shift 2
  rm -rf "$store"
  timeout 60 "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" "$@" \
    --cache-from "type=registry,ref=127.0.0.1:$from/carried:1,timeout=2" context 2> log || { cat log; return 1; }
}
good=$(cat registry) port=$(cat registry.port)
image cold 1 -t "127.0.0.1:$good/carried:1" --push --cache-to type=inline
image warm "$port" -o type=oci,dest=carried.tar
[ "$(ran)" = 0 ] || { cat log; false; }
for mode in dead slow 403 429 lying truncated reset expired; do
  echo "inline $mode"
  echo "$mode" > registry.mode
  at=$port
  [ "$mode" != dead ] || at=1
  rm -rf files
  image bad "$at" -o type=local,dest=files
  cmp files/chance files/copied
  cmp files/long context/long
  "$WYTHE" --store bad verify
  case $mode in
    dead | slow | 403 | 429) [ "$(ran)" = 3 ] && grep -q 'goes on without it' log || { cat log; false; } ;;
  esac
done
echo sound > registry.mode
image after "$port" -o type=oci,dest=after.tar
cmp carried.tar after.tar

# A directory, as far as there are such days in one: it is none, has a pipe to which nobody writes, or what is in it is another
# thing, cut short, or gone. (What its owner may not read or write is read and written all the same, as root of a namespace.)
echo local
directory() {
  store=$1
  shift
  rm -rf "$store"
  timeout 60 "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" "$@" \
    --cache-from type=local,src=directory,timeout=5 --cache-to type=local,dest=directory,mode=max,timeout=5 context \
    2> log || { cat log; return 1; }
}
directory cold -o type=cacheonly
[ "$(ran)" = 3 ]
mv directory sound
for mode in dead pipe lying truncated gone; do
  echo "local $mode"
  rm -rf directory files
  cp -a sound directory
  case $mode in
    dead) rm -r directory && echo no directory > directory ;;
    pipe) rm directory/index.json && mkfifo directory/index.json ;;
    lying) for blob in directory/blobs/sha256/*; do [ "$(head -c 1 "$blob")" = '{' ] || echo lie > "$blob"; done ;;
    truncated) for blob in directory/blobs/sha256/*; do truncate -s 50 "$blob"; done ;;
    gone) for blob in directory/blobs/sha256/*; do [ "$(head -c 1 "$blob")" = '{' ] || rm "$blob"; done ;;
  esac
  directory bad -o type=local,dest=files
  cmp files/chance files/copied
  cmp files/long context/long
  "$WYTHE" --store bad verify
  case $mode in
    dead | pipe) [ "$(ran)" = 3 ] && grep -q 'goes on without it' log || { cat log; false; } ;;
    lying | truncated | gone)
      [ "$(ran)" -gt 0 ] || { cat log; false; }
      # Whoever made it again has mended the cache.
      directory mended -o type=local,dest=mended.files
      [ "$(ran)" = 0 ] || { cat log; false; }
      cmp files/chance mended.files/chance
      rm -rf mended.files
      ;;
  esac
done
