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
mkdir all
stages='' copies='FROM scratch'
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  for job in a b; do
    mkdir "$round$job"
    echo "$round$job" | tee "$round$job/$round$job" > "all/$round$job"
    printf 'FROM scratch\nCOPY %s /f\n' "$round$job" > "$round$job/Dockerfile"
    stages="$stages
FROM scratch AS s$round$job
COPY $round$job /f"
    copies="$copies
COPY --from=s$round$job /f /$round$job"
  done
done
# What is found of all of them by one who has nothing.
printf '%s\n%s\n' "$stages" "$copies" > all/Dockerfile
for engine in registry s3 gha web local; do
  case $engine in
    registry) place="type=registry,ref=$REGISTRY/at/once:cache" ;;
    s3) place="type=s3,use_path_style=true,endpoint_url=http://127.0.0.1:$(cat s3)" ;;
    gha) place="type=gha,version=2,url_v2=http://127.0.0.1:$(cat gha)/" ;;
    web) place="type=http,url=http://127.0.0.1:$(cat web)/app" ;;
    local) place="type=local,dest=cache" ;;
  esac
  for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    jobs=
    for job in a b; do
      rm -rf "store$job"
      "$WYTHE" --store "store$job" build -q -o type=cacheonly --cache-to "$place,mode=max,ignore-error=false" "$round$job" \
        > "$job.log" 2>&1 &
      jobs="$jobs $!"
    done
    for job in $jobs; do wait "$job" || { cat a.log b.log; false; }; done
  done
  "$WYTHE" --store "found-$engine" --progress plain build -o type=cacheonly \
    --cache-from "$(echo "$place" | sed 's/dest=/src=/')" all 2> log
  grep -q '^summary: 80 steps: 40 ran, 40 in ' log || { grep -v DONE log; false; }
done
