# Two jobs that write one cache at the same time, twenty times, with every engine: nothing of either is lost.
command -v python3 > /dev/null || skip "python3 is not installed"
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
pids=
trap '[ -z "$pids" ] || kill $pids 2> /dev/null || true' EXIT
for service in s3 gha web; do
  python3 "$CASES/../${service}_service.py" "$service" &
  pids="$pids $!"
done
for service in s3 gha web; do
  tries=0
  until [ -s "$service" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ]
    sleep 0.1
  done
done
. "$CASES/../cache_services.sh"
. "$CASES/../at_once.sh"
for engine in registry s3 gha web local; do
  case $engine in
    registry) place="type=registry,ref=$REGISTRY/at/once:cache" ;;
    s3) place="type=s3,use_path_style=true,endpoint_url=http://127.0.0.1:$(cat s3)" ;;
    gha) place="type=gha,version=2,url_v2=http://127.0.0.1:$(cat gha)/" ;;
    web) place="type=http,url=http://127.0.0.1:$(cat web)/app" ;;
    local) place="type=local,dest=cache" ;;
  esac
  nothing_is_lost "$engine" "$place"
done
