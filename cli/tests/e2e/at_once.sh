# For cases with caches: two jobs that write one at the same time, twenty times, and one with an empty store that finds what all
# of them wrote.
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
# nothing_is_lost ENGINE PLACE: PLACE is what --cache-to is told, but for its mode.
nothing_is_lost() {
  engine=$1 place=$2
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
}
