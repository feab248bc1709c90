# The double of GitHub's cache service is one that GitHub's own client, npm's @actions/cache, saves to and restores from, and
# uploads go where GitHub lets them go: to signed addresses of Azure's storage, of which npm's azurite is a server.
command -v python3 > /dev/null || skip "python3 is not installed"
command -v npm > /dev/null || skip "npm is not installed"
# Both run with the node of Debian 12, whatever npm says of what they need, and azurite with whatever version of the protocol
# the client is at.
npm install --silent --no-save --ignore-scripts --prefix npm azurite@3.35.0 @actions/cache@5.3.0 > npm.log 2>&1 || {
  cat npm.log
  skip "npm gave no azurite and no @actions/cache"
}
ports=$("$CASES/../ports" 1)
npm/node_modules/.bin/azurite-blob --blobPort "$ports" --inMemoryPersistence --disableTelemetry \
  --skipApiVersionCheck > azurite.log 2>&1 &
pids=$!
trap 'kill $pids' EXIT
tries=0
until "$CASES/../listening" "$ports"; do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ]
  sleep 0.1
done
python3 "$CASES/../gha_service.py" port --azurite "http://127.0.0.1:$ports" &
pids="$pids $!"
tries=0
until [ -s port ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ]
  sleep 0.1
done
service=http://127.0.0.1:$(cat port)
. "$CASES/../cache_services.sh"
export ACTIONS_CACHE_SERVICE_V2=1 ACTIONS_RESULTS_URL="$service/" ACTIONS_CACHE_URL="$service/"
say() { python3 -c 'import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())' "$service/$1"; }
# stored METHOD: how often azurite was asked so.
stored() { grep -c "\"$1 /devstoreaccount1/cache/pack" azurite.log || true; }

# A job of ours: longer than what is sent in one piece.
mkdir context
head -c 9000000 /dev/urandom > context/long
printf 'FROM base\nRUN date +%%N > /chance\nCOPY long /long\nRUN cat /chance > /copied\n' > context/Dockerfile
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" context 2> log || { cat log; return 1; }
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
build cold --cache-to type=gha,mode=max,ignore-error=false
[ "$(ran)" = 3 ]
[ "$(stored PUT)" -gt 0 ]
build warm --cache-from type=gha --cache-to type=gha,mode=max,ignore-error=false
[ "$(ran)" = 0 ]
cmp cold.tar warm.tar
"$WYTHE" --store warm verify
[ "$(stored GET)" -gt 0 ]

# GitHub's client beside it, over either interface. What it says of itself goes to a log of its own.
cat > job.js << 'X'
// The node of Debian 12 has it under another name than the client looks for it.
globalThis.crypto ??= require('crypto').webcrypto;
const cache = require('./npm/node_modules/@actions/cache'), fs = require('fs'), assert = require('assert');
const path = process.cwd() + '/saved', same = file => fs.readFileSync(file).equals(fs.readFileSync('context/long'));
const key = process.argv[2];
(async () => {
  assert.strictEqual(await cache.restoreCache([path], key + '-1', [key]), undefined);
  fs.mkdirSync(path, { recursive: true });
  fs.copyFileSync('context/long', path + '/long');
  assert(await cache.saveCache([path], key + '-1') > 0);
  assert.strictEqual(await cache.saveCache([path], key + '-1'), -1);
  for (const [asked, others] of [[key + '-1', []], [key + '-2', [key + '-']]]) {
    fs.rmSync(path, { recursive: true });
    assert.strictEqual(await cache.restoreCache([path], asked, others), key + '-1');
    assert(same(path + '/long'));
  }
  fs.rmSync(path, { recursive: true });
})().catch(error => { console.error(error); process.exit(1); });
X
mkdir runner
export RUNNER_TEMP="$PWD/runner" GITHUB_WORKSPACE="$PWD"
before=$(stored PUT)
node job.js newer > newer.log 2>&1 || { cat newer.log; false; }
[ "$(stored PUT)" -gt "$before" ]
# The older interface is that of Enterprise Server, and the double keeps what it is sent there itself.
before=$(stored PUT)
GITHUB_SERVER_URL=https://github.example node job.js older > older.log 2>&1 || { cat older.log; false; }
[ "$(stored PUT)" = "$before" ]
[ "$(say log | grep -c 'POST /_apis/artifactcache/caches ')" = 2 ]

# Neither is in the way of the other.
build again --cache-from type=gha
[ "$(ran)" = 0 ]
cmp cold.tar again.tar
