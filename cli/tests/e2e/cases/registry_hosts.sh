# How registries are reached by files: an own authority and client certificates behind nginx, as our file, containerd's and
# docker's folders say; a mirror that fetches by itself, before its registry and in its place.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
command -v openssl > /dev/null || skip "openssl is not installed"
nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || skip "nginx is not installed"
export XDG_CONFIG_HOME="$PWD/config" DOCKER_CONFIG="$PWD/docker" WYTHE_STORE="$PWD/store"
mkdir -p config/wythe
pids=
trap 'kill $pids 2> /dev/null || true' EXIT
port=$("$CASES/../ports" 3)
plain=$port secure=$((port + 1)) mirror=$((port + 2))

# registry PORT NAME [YAML]: one on the loopback.
registry() {
  printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n%s\n' \
    "$PWD/$2" "$1" "${3-}" > "$2.yml"
  docker-registry serve "$2.yml" > "$2.log" 2>&1 &
  eval "$2_pid=$!"
  pids="$pids $!"
  await "$1"
}

await() {
  tries=0
  until "$CASES/../listening" "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ]
    sleep 0.1
  done
}

# refused CODE COMMAND…: what it said is in err.
refused() {
  code=$1 status=0
  shift
  "$@" 2> err || status=$?
  cat err
  [ "$status" = "$code" ]
}

# signed NAME AUTHORITY [EXTENSION]: a key, and a certificate that an authority has signed.
signed() {
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2> /dev/null
  printf '%s\n' "${3:-basicConstraints=CA:FALSE}" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -days 2 -out "$1.crt" -extfile "$1.ext" 2> /dev/null
}

for authority in own other; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout $authority.key -out $authority.crt -days 2 -subj "/CN=$authority" \
    -addext basicConstraints=critical,CA:TRUE 2> /dev/null
done
signed server own subjectAltName=DNS:localhost
signed client own
registry "$plain" origin
mkdir web
cat > nginx.conf <<END
daemon off; pid $PWD/web/pid; error_log $PWD/web/error.log;
events {}
http {
  access_log off; client_max_body_size 0;
  client_body_temp_path web/body; proxy_temp_path web/proxy; fastcgi_temp_path web/f; uwsgi_temp_path web/u; scgi_temp_path web/s;
  server {
    listen 127.0.0.1:$secure ssl;
    ssl_certificate $PWD/server.crt; ssl_certificate_key $PWD/server.key;
    ssl_client_certificate $PWD/own.crt; ssl_verify_client on;
    location / { proxy_pass http://127.0.0.1:$plain; proxy_set_header Host \$http_host; proxy_set_header X-Forwarded-Proto https; }
  }
}
END
"$nginx" -p "$PWD" -c "$PWD/nginx.conf" > web/log 2>&1 &
pids="$pids $!"
await "$secure"
host=localhost:$secure

# Nobody is let in without a certificate, and a server of another authority is not believed.
refused 3 "$WYTHE" copy "oci:$BASE" "docker://$host/app:1"
grep -q '400' err
ours() { printf '[registry."%s"]\n%s\n' "$host" "$1" > config/wythe/config.toml; }
ours "ca = '$PWD/other.crt'
client-cert = '$PWD/client.crt'
client-key = '$PWD/client.key'"
refused 3 "$WYTHE" copy "oci:$BASE" "docker://$host/app:1"
grep -q 'not trusted' err
ours "ca = '../../own.crt'
client-cert = '$PWD/client.crt'
client-key = '$PWD/client.key'"
"$WYTHE" copy "oci:$BASE" "docker://$host/app:1"
"$WYTHE" pull "$host/app:1"

# The same by the files of others.
rm config/wythe/config.toml
mkdir -p "config/containerd/certs.d/$host"
cat > "config/containerd/certs.d/$host/hosts.toml" <<END
server = "https://$host"
ca = "$PWD/own.crt"
client = [["$PWD/client.crt", "$PWD/client.key"]]
END
"$WYTHE" pull "$host/app:1"
rm -r config/containerd
mkdir -p "docker/certs.d/$host"
cp own.crt "docker/certs.d/$host/ca.crt"
cp client.crt "docker/certs.d/$host/client.cert"
cp client.key "docker/certs.d/$host/client.key"
"$WYTHE" pull "$host/app:1"
rm "docker/certs.d/$host/client.key"
refused 4 "$WYTHE" pull "$host/app:1"
grep -q 'client.cert: client.key is not beside it' err
rm -r docker/certs.d

# Mistakes are named with their line.
ours 'mirror = []'
refused 2 "$WYTHE" pull "$host/app:1"
grep -q 'config.toml' err
grep -q 'line 2, .mirror.*: unknown field .mirror' err
grep -q 'help: it takes .*`mirrors`' err
ours "client-cert = '$PWD/nothing.crt'"
refused 4 "$WYTHE" pull "$host/app:1"
grep -q 'cannot use the client certificate or key .*nothing.crt' err
rm config/wythe/config.toml

# A mirror fetches what it lacks, has it from then on, and gets nothing that is pushed.
registry "$mirror" mirror "proxy: {remoteurl: \"http://127.0.0.1:$plain\"}"
from=127.0.0.1:$plain
printf '[registry."%s"]\nmirrors = ["http://127.0.0.1:%s"]\n' "$from" "$mirror" > config/wythe/config.toml
WYTHE_STORE=$PWD/first "$WYTHE" pull "$from/app:1"
[ -d mirror/docker/registry/v2/repositories/app ]
printf 'FROM %s/app:1\nCOPY Dockerfile /\n' "$from" > Dockerfile
"$WYTHE" build -t "$from/built:1" --push .
[ -d origin/docker/registry/v2/repositories/built ]
[ ! -e mirror/docker/registry/v2/repositories/built ]
kill "$origin_pid"
while "$CASES/../listening" "$plain"; do sleep 0.1; done
WYTHE_STORE=$PWD/second "$WYTHE" pull "$from/app:1"
kill "$mirror_pid"
while "$CASES/../listening" "$mirror"; do sleep 0.1; done
registry "$plain" origin
WYTHE_STORE=$PWD/third "$WYTHE" pull "$from/app:1" 2> err
cat err
[ "$(grep -c "the mirror 127.0.0.1:$mirror of $from was passed over" err)" = 1 ]

# What podman blocks or has moved is blocked and moved here.
rm config/wythe/config.toml
mkdir -p config/containers
cat > config/containers/registries.conf <<END
unqualified-search-registries = ["$from"]
[[registry]]
prefix = "moved.example/team"
location = "$from"
insecure = true
[[registry]]
location = "blocked.example"
blocked = true
END
WYTHE_STORE=$PWD/fourth "$WYTHE" pull moved.example/team/app:1
refused 4 "$WYTHE" pull blocked.example/app
grep -q 'registries.conf blocks it' err
