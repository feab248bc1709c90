# For cases with a server of the remote execution API, BuildGrid from PyPI: it serves the instance `team` at `port`, and over TLS
# at `secure`, with the certificate server.crt, until the case ends; `pid` is the server, `proxy` is ended with it.
case $("$WYTHE" build --cache-from type=reapi,url=grpc://127.0.0.1:1 . 2>&1 || true) in
*"built without it"*) skip "the program is built without the feature reapi" ;;
esac
python3 -m venv venv
venv/bin/pip install -q buildgrid==0.4.4
port=$("$CASES/../ports" 2) secure=$((port + 1))
openssl req -x509 -newkey rsa:2048 -nodes -keyout server.key -out server.crt -days 2 -subj /CN=cache \
  -addext subjectAltName=IP:127.0.0.1 2> /dev/null
cat > server.yml << X
server:
  - !channel
    address: 127.0.0.1:$port
    insecure-mode: true
  - !channel
    address: 127.0.0.1:$secure
    insecure-mode: false
    credentials:
      tls-server-key: $PWD/server.key
      tls-server-cert: $PWD/server.crt
instances:
  - name: team
    storages:
      - !lru-storage &store
        size: 512M
    caches:
      - !lru-action-cache &actions
        storage: *store
        max-cached-refs: 4096
        cache-failed-actions: true
        allow-updates: true
    services:
      - !cas
        storage: *store
      - !bytestream
        storage: *store
      - !action-cache
        cache: *actions
thread-pool-size: 20
X
venv/bin/bgd server start server.yml > server.log 2>&1 &
pid=$!
proxy=
trap 'kill $pid $proxy' EXIT
tries=0
until "$CASES/../listening" "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.1
done
