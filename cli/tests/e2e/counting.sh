# For cases: registries that count. Sourced; sets a trap that ends them.
pids=
trap '[ -z "$pids" ] || kill $pids' EXIT

# counting_registry PORT: one that logs each request in PORT.log.
counting_registry() {
  printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
    "$PWD/data$1" "$1" > "$1.yml"
  docker-registry serve "$1.yml" > "$1.log" 2>&1 &
  pids="$pids $!"
  tries=0
  until "$CASES/../listening" "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ]
    sleep 0.1
  done
  echo 0 > "$1.seen"
}

# layers LAYOUT: the digests of the layers of the only image of a layout.
layers() {
  grep -h -o '"layers":.*' "$1"/blobs/sha256/* | grep -o 'sha256:[0-9a-f]*'
}

# since PORT: the requests that a registry has had since this was asked last, in the file log.
since() {
  sleep 0.2
  tail -n "+$(($(cat "$1.seen") + 1))" "$1.log" > log
  wc -l < "$1.log" > "$1.seen"
}

# requests METHOD REPOSITORY STATUS DIGEST…: how many requests of the file log are for one of these blobs.
requests() {
  method=$1 repository=$2 status_=$3
  shift 3
  total=0
  for digest; do
    total=$((total + $(grep -c "$method /v2/$repository/blobs/$digest .* $status_ " log || true)))
  done
  echo "$total"
}
