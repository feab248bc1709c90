# A registry with a certificate of nobody: on this machine it is believed, elsewhere with --insecure-registry or its
# authority. One without TLS elsewhere takes the flag, too.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
command -v openssl > /dev/null || skip "openssl is not installed"
address=$(hostname -I 2> /dev/null | cut -d' ' -f1)
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=registry \
  -addext "subjectAltName=DNS:localhost,IP:${address:-127.0.0.1}" 2> /dev/null
pids=
trap 'kill $pids' EXIT

# registry PORT [YAML]: one on all addresses.
registry() {
  printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "0.0.0.0:%s"%s}\n' \
    "$PWD/data" "$1" "${2-}" > "$1.yml"
  docker-registry serve "$1.yml" > "$1.log" 2>&1 &
  pids="$pids $!"
  tries=0
  until "$CASES/../listening" "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ]
    sleep 0.1
  done
}

# fails CODE COMMAND…: what it said is in err.
fails() {
  code=$1 status=0
  shift
  "$@" 2> err || status=$?
  cat err
  [ "$status" = "$code" ]
}

secure=$("$CASES/../ports" 2) plain=$((secure + 1))
registry "$secure" ", tls: {certificate: $PWD/cert.pem, key: $PWD/key.pem}"
registry "$plain"
for host in "localhost:$secure" "127.0.0.1:$secure"; do
  "$WYTHE" copy "oci:$BASE" "docker://$host/app:1"
done
SSL_CERT_FILE=cert.pem "$WYTHE" pull "localhost:$secure/app:1"
fails 4 env SSL_CERT_FILE=missing.pem "$WYTHE" pull docker.io/library/app
grep -q missing.pem err

[ -n "$address" ] && [ "$address" != 127.0.0.1 ] || exit 0
for port in "$secure" "$plain"; do
  "$WYTHE" --insecure-registry "$address:$port" copy "oci:$BASE" "docker://$address:$port/other:1"
  "$WYTHE" --insecure-registry "$address:$port" pull "$address:$port/other:1"
done
printf 'FROM scratch\nCOPY Dockerfile /\n' > Dockerfile
"$WYTHE" build -o "type=registry,name=$address:$secure/built:1,registry.insecure=true" .
SSL_CERT_FILE=cert.pem "$WYTHE" pull "$address:$secure/built:1"

fails 3 "$WYTHE" pull "$address:$secure/other:1"
grep -q 'not trusted' err
grep -q 'help: .*SSL_CERT_FILE' err
fails 3 "$WYTHE" pull "$address:$plain/other:1"
grep -q 'plain HTTP' err
grep -q "help: .*--insecure-registry $address:$plain" err
