# What the end-to-end scripts share. Each script sources this, runs as an unprivileged user with
# subordinate ids, and ends with "N passed, N failed".
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wythe=${WYTHE:-$here/../../../target/release/wythe}
work=$(mktemp -d "${TMPDIR:-/tmp}/wythe-e2e.XXXXXX")
children=()
. "$here/check.sh"

# Starts docker-registry on a free loopback port and sets $registry.
start_registry() {
  local port
  port=$("$here/ports" 1)
  mkdir -p "$work/registry"
  cat > "$work/registry.yml" <<X
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}, delete: {enabled: true}}
http: {addr: 127.0.0.1:$port}
X
  docker-registry serve "$work/registry.yml" > "$work/registry.log" 2>&1 &
  children+=($!)
  registry=127.0.0.1:$port
  for _ in $(seq 100); do
    if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then return; fi
    sleep 0.05
  done
  echo "docker-registry does not answer" >&2
  exit 1
}

finish() {
  local child
  for child in "${children[@]}"; do kill "$child" 2> /dev/null; done
  # Layer directories belong to subordinate ids: only a namespace that has them can remove them.
  unshare --map-root-user --map-auto rm -rf "$work" 2> /dev/null || rm -rf "$work"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
trap finish EXIT
