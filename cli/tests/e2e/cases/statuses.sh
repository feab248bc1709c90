# What a registry or a server answers is told once, with what to do about it, by every command.
command -v python3 > /dev/null || skip "python3 is not installed"
python3 "$CASES/../statuses.py" port &
trap "kill $!" EXIT
while [ ! -e port ]; do sleep 0.1; done
host=localhost:$(cat port)
mkdir context

# tells STATUS REMEDY COMMAND…
tells() {
  told=$1 remedy=$2 code=0
  shift 2
  "$@" 2> err || code=$?
  cat err
  [ "$code" = 3 ]
  [ "$(grep -c "status $told" err)" = 1 ]
  [ "$(grep -c 'told once' err)" = 1 ]
  grep -q "help: .*$remedy" err
}

for each in '429:limits how often' '503:try again later' '403:wythe login localhost' '404:check name and tag'; do
  status=${each%%:*} remedy=${each#*:}
  tells "$status" "$remedy" "$WYTHE" pull "$host/$status/app:1"
  printf 'FROM %s/%s/app:1\nRUN true\n' "$host" "$status" > context/Dockerfile
  tells "$status" "$remedy" "$WYTHE" build --progress=plain context
done

printf 'FROM scratch\nADD http://%s/503/file /\n' "$host" > context/Dockerfile
if "$WYTHE" build context 2> err; then exit 1; fi
grep -q 'help: .*try again later' err

printf 'FROM scratch\nADD http://%s/packed /\n' "$host" > context/Dockerfile
"$WYTHE" build -o out context
[ "$(cat out/packed)" = 'the file' ]
