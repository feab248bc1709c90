# Docker's engine gets images that docker builds, and of them what it lacks.
export DOCKER_CONFIG="$PWD/configuration"
"$WYTHE" install-docker-plugin > /dev/null
plugin=$DOCKER_CONFIG/cli-plugins/docker-buildx
# Sockets have short names.
sockets=$(mktemp -d)
export DOCKER_HOST="unix://$sockets/near"
python3 "$CASES/../docker_engine.py" "$sockets/near" near.log &
engines=$!
python3 "$CASES/../docker_engine.py" "$sockets/far" far.log far &
engines="$engines $!"
# shellcheck disable=SC2064
trap "kill $engines; rm -rf $sockets" EXIT
tries=0
until [ -S "$sockets/near" ] && [ -S "$sockets/far" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ]
  sleep 0.1
done

mkdir context
printf 'FROM base\nRUN echo one > /one\n' > context/Dockerfile
base="--build-context base=oci-layout://$BASE"
# shellcheck disable=SC2086
"$plugin" buildx build $base -q --iidfile id -t engine/app:1 -t engine/app:2 context
layers=$("$WYTHE" inspect -f '{{len .RootFS.Layers}}' engine/app:1)
[ "$(grep -c pulled near.log)" = "$((layers + 1))" ]
grep -q "^tagged engine/app:1 $(cat id)" near.log
grep -q "^tagged engine/app:2 $(cat id)" near.log

# Nothing is sent twice: what is there gets its name, and of what is new the new layer and the configuration come.
: > near.log
# shellcheck disable=SC2086
"$plugin" buildx build $base -q --load -t engine/app:3 context
[ "$(cat near.log)" = "tagged engine/app:3 $(cat id)" ]
printf 'RUN echo two > /two\n' >> context/Dockerfile
: > near.log
# shellcheck disable=SC2086
"$plugin" buildx build $base -q --output type=docker -t engine/app:4 context
[ "$(grep -c pulled near.log)" = 2 ]
[ "$("$WYTHE" run engine/app:4 cat /two)" = two ]

# What has no name has one until the next.
printf 'RUN echo three > /three\n' >> context/Dockerfile
# shellcheck disable=SC2086
id=$("$plugin" buildx build $base -q context)
grep -q "^tagged wythe/unnamed:latest $id" near.log

# An engine that cannot reach our loopback is sent all of it.
# shellcheck disable=SC2086
DOCKER_HOST="unix://$sockets/far" "$plugin" build $base --progress plain --load -t engine/far:1 context 2> log
grep -q 'cannot reach' log
grep -q 'loaded .*engine/far:1' far.log

# As Compose 5 calls: all services of the project are there, those that nobody asked for with them, paths are granted, the file of a service
# is a path of its own, and dots of names are other letters.
: > near.log
printf 'FROM base\nARG WHO\nRUN echo step of $WHO\n' > context/five.Dockerfile
cat > handed5.json <<X
{"group": {"default": {"targets": ["web", "a_b_"]}}, "target": {
  "a_b": {"context": "$PWD/context", "contexts": {"base": "oci-layout://$BASE"}, "dockerfile": "$PWD/context/five.Dockerfile", "no-cache": true,
    "args": {"WHO": "five \$\${HOME}"}, "tags": ["shop-a.b"], "output": ["type=docker"]},
  "a_b_": {"context": "$PWD/context", "contexts": {"base": "oci-layout://$BASE"},
    "dockerfile-inline": "FROM base\nRUN test \$\${X:-y} = y\n", "tags": ["shop-a_b"], "output": ["type=docker"],
    "no-cache-filter": ["last"], "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"]},
  "never": {"context": "/nowhere/at/all", "dockerfile": "/nowhere/at/all/Dockerfile", "tags": ["shop-never"], "output": ["type=docker"]},
  "web": {"context": "$PWD/context", "contexts": {"below": "target:a_b"}, "dockerfile-inline": "FROM below AS last\nRUN grep far /etc/hosts\n",
    "tags": ["shop/extra:1", "shop/web:2"], "target": "last", "shm-size": "134217728", "ulimits": ["nofile=500:600"], "pull": true,
    "extra-hosts": {"far": "10.1.2.3"}, "entitlements": ["security.insecure"], "output": ["type=docker"]}}}
X
"$plugin" bake --file - --progress rawjson --metadata-file handed5 --allow "fs.read=$PWD/context" \
  --allow security.insecure --sbom=false --provenance=false --builder default < handed5.json 2> statuses || { cat statuses; exit 1; }
python3 "$CASES/../solve_statuses.py" statuses 'step of five ${HOME}'
python3 -c 'import json
about = json.load(open("handed5"))
assert about["web"]["image.name"] == "docker.io/shop/extra:1,docker.io/shop/web:2", about
assert about["a_b_"]["containerimage.digest"].startswith("sha256:") and "never" not in about, about'
for name in shop-a.b shop-a_b shop/extra:1 shop/web:2; do grep -q "^tagged $name" near.log; done
[ "$(grep -c shop-never near.log || true)" = 0 ]

# Without an engine the image stays in the store, unless it has to leave.
# shellcheck disable=SC2086
DOCKER_HOST=unix:///nowhere "$plugin" build $base --progress plain -t engine/alone:1 context 2> log
grep -q 'in the store alone' log
# shellcheck disable=SC2086
fails env DOCKER_HOST=unix:///nowhere "$plugin" build $base --load -t engine/alone:2 context
# Before anything is built.
fails "$WYTHE" inspect engine/alone:2
# shellcheck disable=SC2086
fails env DOCKER_HOST=tcp://far:2375 "$plugin" build $base --load -t engine/alone:2 context 2> log
grep -q 'tcp://far:2375' log
# What is written or pushed is for nobody else.
: > near.log
# shellcheck disable=SC2086
"$plugin" build $base -q --output type=docker,dest=- context | tar -t | grep -qx manifest.json
# shellcheck disable=SC2086
"$plugin" build $base -q --output type=cacheonly context
[ ! -s near.log ]
