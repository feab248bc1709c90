# Every cache over HTTP behind a proxy that has a bad day: it is dead, slow, full, lying, cut short, refusing, or its
# addresses are no longer good. No build fails, hangs or makes another image of it, and what the cache has stays good.
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
  for mode in dead slow full 403 429 lying truncated expired; do
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
      full) [ "$(ran)" = 0 ] || [ "$server" = gha ] ;;
    esac || { cat log; false; }
    # One who has something to write is told that it was not.
    case $mode in
      full | 403)
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
done
