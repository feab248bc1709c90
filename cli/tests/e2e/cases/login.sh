# A login is checked for real, also where the token service has a port of its own; a wrong password is saved nowhere.
command -v python3 > /dev/null || skip "python3 is not installed"
export DOCKER_CONFIG="$PWD/docker"
python3 "$CASES/../token_registry.py" ports &
pid=$!
trap 'kill $pid' EXIT
while [ ! -e ports ]; do sleep 0.1; done
host=localhost:$(cut -d' ' -f1 ports)

# fails CODE COMMAND…: what it said is in err.
fails() {
  code=$1 status=0
  shift
  "$@" 2> err || status=$?
  cat err
  [ "$status" = "$code" ]
}

echo wrong | fails 3 "$WYTHE" login -u ada --password-stdin "$host"
grep -q "denied: ada may not log in to $host" err
[ ! -e docker/config.json ]
fails 3 "$WYTHE" pull "$host/app:1"
grep -qF "help: \`wythe login $host\`" err

echo secret | "$WYTHE" login -u ada --password-stdin "https://$host/"
grep -q "\"$host\"" docker/config.json
fails 3 "$WYTHE" pull "$host/app:1"
grep -q 'not found' err
fails 3 "$WYTHE" copy "oci:$BASE" "docker://$host/app:1"
grep -q "denied: ada may not push to $host/app; .*ada only reads" err
grep -q 'help: let ada push to' err
"$WYTHE" logout "$host"
if grep -q "\"$host\"" docker/config.json; then exit 1; fi
