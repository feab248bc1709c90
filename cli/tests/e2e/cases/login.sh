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

for registry in '' 'not a host' localhost:99999; do
  echo secret | fails 2 "$WYTHE" login -u ada --password-stdin "$registry"
  grep -q 'is not the name of a registry' err
done
echo | fails 2 "$WYTHE" login -u ada --password-stdin "$host"
HTTPS_PROXY=ftp://u:hidden@p.example fails 4 "$WYTHE" pull r.example/app
grep -q 'cannot use the proxy ftp://p.example: ' err

echo secret | "$WYTHE" login -u ada --password-stdin "https://$host/"
grep -q "\"$host\"" docker/config.json
fails 3 "$WYTHE" pull "$host/app:1"
grep -q 'not found' err
fails 3 "$WYTHE" copy "oci:$BASE" "docker://$host/app:1"
grep -q "denied: ada may not push to $host/app; .*ada only reads" err
grep -q 'help: let ada push to' err
"$WYTHE" logout "$host"
if grep -q "\"$host\"" docker/config.json; then exit 1; fi
DOCKER_AUTH_CONFIG="{\"auths\": {\"$host\": {\"auth\": \"$(printf ada:secret | base64)\"}}}" "$WYTHE" logout "$host" 2> err
grep -q "credentials for $host that .* has not stored" err

# A helper keeps what the file does not, and is started once for a push.
mkdir bin
cat > bin/docker-credential-kept <<'END'
#!/bin/sh
echo "$1" >> kept.log
case $1 in
  store) cat > kept ;;
  get) cat kept 2> /dev/null || { echo credentials not found; exit 1; } ;;
  erase) rm kept ;;
esac
END
chmod +x bin/docker-credential-kept
PATH=$PWD/bin:$PATH
for config in '{"credsStore": "kept"}' "{\"credHelpers\": {\"$host\": \"kept\"}}"; do
  echo "$config" > docker/config.json
  echo secret | "$WYTHE" login -u ada --password-stdin "$host"
  grep -q '"Secret":"secret"' kept
  if grep -q '"auth"' docker/config.json; then exit 1; fi
  : > kept.log
  fails 3 "$WYTHE" copy "oci:$BASE" "docker://$host/app:1"
  grep -q 'denied: ada may not push' err
  [ "$(cat kept.log)" = get ]
  "$WYTHE" logout "$host"
  [ ! -e kept ]
  "$WYTHE" logout "$host" 2> err
  grep -q "not logged in to $host" err
done

# GitLab's shape: both speak TLS, on two ports.
command -v openssl > /dev/null || exit 0
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost 2> /dev/null
python3 "$CASES/../token_registry.py" tls_ports cert.pem key.pem &
pid="$pid $!"
while [ ! -e tls_ports ]; do sleep 0.1; done
host=localhost:$(cut -d' ' -f1 tls_ports)
echo wrong | fails 3 "$WYTHE" login -u ada --password-stdin "$host"
echo secret | "$WYTHE" login -u ada --password-stdin "$host"
fails 3 "$WYTHE" pull "$host/app:1"
grep -q 'not found' err
