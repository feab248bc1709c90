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
