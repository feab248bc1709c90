# The cache of GitHub Actions, over both interfaces, against a double of the service: an empty store runs no step, a
# build makes one entry, a job that may not write is told once, 429 is final, and addresses that expire are no matter.
command -v python3 > /dev/null || skip "python3 is not installed"
python3 "$CASES/../gha_service.py" port &
pid=$!
trap 'kill $pid' EXIT
tries=0
until [ -s port ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.1
done
service=http://127.0.0.1:$(cat port)
# token SCOPE PERMISSION: as the service hands them out: 1 reads, 2 writes.
token() {
  python3 -c 'import base64, json, sys
part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
own = {"Scope": sys.argv[1], "Permission": int(sys.argv[2])}
print(part({}) + "." + part({"ac": json.dumps([own, {"Scope": "refs/heads/main", "Permission": 1}])}) + ".x")' "$1" "$2"
}
say() { python3 -c 'import sys, urllib.request
body = sys.argv[2].encode() if len(sys.argv) > 2 else None
sys.stdout.write(urllib.request.urlopen(sys.argv[1], body).read().decode())' "$service/$@"; }
mkdir context
echo one > context/a
printf 'FROM base\nRUN date +%%N > /chance\nCOPY a /a\nRUN cat /a > /copied\n' > context/Dockerfile
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" context 2> log || { cat log; return 1; }
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
both="--cache-from type=gha --cache-to type=gha,mode=max"

# Outside of a job there is none, which is told.
build none $both
grep -q 'ACTIONS_RUNTIME_TOKEN is not set' log

ACTIONS_RUNTIME_TOKEN=$(token refs/heads/main 3)
ACTIONS_RESULTS_URL=$service/
ACTIONS_CACHE_URL=$service/
export ACTIONS_RUNTIME_TOKEN ACTIONS_RESULTS_URL ACTIONS_CACHE_URL
for newer in "" 1; do
  export ACTIONS_CACHE_SERVICE_V2=$newer
  scope=scope=of$newer
  build "cold$newer" --cache-to "type=gha,mode=max,$scope"
  [ "$(ran)" = 3 ]
  grep -q '3 results written' log
  build "warm$newer" --cache-from "type=gha,$scope" --cache-to "type=gha,mode=max,$scope"
  [ "$(ran)" = 0 ]
  cmp "cold$newer.tar" "warm$newer.tar"
  "$WYTHE" --store "warm$newer" verify
done
[ "$(say log | grep -c 'CreateCacheEntry')" = 1 ]
[ "$(say log | grep -c 'POST /_apis/artifactcache/caches ')" = 1 ]

# A branch reads what main wrote, and what it writes is its own.
export ACTIONS_RUNTIME_TOKEN="$(token refs/heads/branch 3)"
from="--cache-from type=gha,scope=of1" to="--cache-to type=gha,mode=max,scope=of1"
echo two > context/a
build branch $from $to
[ "$(ran)" = 2 ]
build again $from
[ "$(ran)" = 0 ]
export ACTIONS_RUNTIME_TOKEN="$(token refs/heads/main 3)"
build main $from
[ "$(ran)" = 2 ]

# One that may only read.
export ACTIONS_RUNTIME_TOKEN="$(token refs/pull/1/merge 1)"
echo three > context/a
build reader $from $to
[ "$(ran)" = 2 ]
[ "$(grep -c 'may read the cache and not write it' log)" = 1 ]

# What the workflow lets a job do, before anybody is asked.
export ACTIONS_RUNTIME_TOKEN="$(token refs/heads/main 3)"
before=$(say log | grep -c Cache)
ACTIONS_CACHE_MODE=none build forbidden $from $to,ignore-error=false
[ "$(ran)" = 3 ]
[ "$(grep -c 'is not used: ACTIONS_CACHE_MODE is none' log)" = 1 ]
ACTIONS_CACHE_MODE=write-only build apart $from $to,ignore-error=false
[ "$(ran)" = 3 ]
[ "$(grep -c 'is not used: ACTIONS_CACHE_MODE is write-only' log)" = 1 ]
[ "$(say log | grep -c Cache)" = "$before" ]
before=$(say log | grep -c CreateCacheEntry)
ACTIONS_CACHE_MODE=read build reading $from $to,ignore-error=false
[ "$(ran)" = 2 ]
[ "$(grep -c 'is not written: ACTIONS_CACHE_MODE is read' log)" = 1 ]
[ "$(say log | grep -c CreateCacheEntry)" = "$before" ]

# Too many: told once, and no more is asked.
export ACTIONS_RUNTIME_TOKEN="$(token refs/heads/main 3)"
say knobs limit=9
before=$(say log | grep -c CreateCacheEntry)
build limited $from $to
grep -q 'too many' log
[ "$(say log | grep -c CreateCacheEntry)" = "$((before + 1))" ]
say knobs limit=0

# Addresses that are good for one use.
say knobs uses=1
echo one > context/a
build expired $from
[ "$(ran)" = 0 ]
cmp cold1.tar expired.tar
say knobs uses=0

# What comes is not what was written: steps run, and the image is right.
say knobs corrupt=1
build lied $from
"$WYTHE" --store lied verify
say knobs corrupt=0

# Cache mounts go up in the same entry, and come back.
before=$(say log | grep -c CreateCacheEntry)
printf 'FROM base\nARG DO\nRUN --mount=type=cache,id=m,target=/m eval "$DO" && date +%%N > /made\n' > context/Dockerfile
build mounts --build-arg "DO=echo kept > /m/f" --cache-to type=gha,mode=max,scope=m,mounts=all
grep -q '1 results written' log
grep -q 'mount m: 1 files' log
[ "$(say log | grep -c CreateCacheEntry)" = "$((before + 1))" ]
build mounted --build-arg 'DO=[ "$(cat /m/f)" = kept ]' --cache-from type=gha,scope=m
grep -q 'mount m restored' log

# Nobody there.
kill $pid
wait $pid || true
trap - EXIT
build dead $from $to
grep -q 'the cache was not written' log
