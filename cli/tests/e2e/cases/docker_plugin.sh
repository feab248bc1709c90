# Docker's command line, Compose and the GitHub actions build with this program, which they take for buildx.
export DOCKER_CONFIG="$PWD/configuration"
unset DOCKER_HOST || true
plugin=$DOCKER_CONFIG/cli-plugins/docker-buildx
fails test -e "$plugin"
[ "$("$WYTHE" install-docker-plugin)" = "$plugin" ]
[ "$(readlink "$plugin")" = "$WYTHE" ]
"$WYTHE" install-docker-plugin > /dev/null
"$plugin" docker-cli-plugin-metadata > metadata
grep -q '"SchemaVersion":"0.1.0"' metadata
grep -q '"Vendor":"wythe"' metadata

mkdir context
printf 'FROM base\nARG WHO\nRUN echo step of $WHO\n' > context/Dockerfile
base="--build-context base=oci-layout://$BASE"

# As docker calls for `docker build`, with flags of its own before and those that BuildKit ignores behind.
# shellcheck disable=SC2086
"$plugin" --debug --log-level=debug buildx build $base --builder any --squash --progress plain -t plugged:1 \
  --build-arg WHO=docker --iidfile id --metadata-file about context > out 2> log
[ ! -s out ]
cat log
grep -q 'step of docker' log
grep -q 'without effect.*--squash' log
digest=$("$WYTHE" inspect -f '{{.Descriptor.digest}}' plugged:1)
grep -q "\"containerimage.digest\": \"$digest\"" about
grep -q "$(cat id)" about
# shellcheck disable=SC2086
[ "$("$plugin" buildx build -q $base --build-arg WHO=docker context 2> /dev/null)" = "$(cat id)" ]

# As Compose calls: without the word, and it reads the progress of BuildKit.
# shellcheck disable=SC2086
"$plugin" build $base --progress rawjson --build-arg WHO=compose context 2> statuses
python3 "$CASES/../solve_statuses.py" statuses 'step of compose'
# shellcheck disable=SC2086
BUILDKIT_PROGRESS=rawjson "$plugin" build $base --build-arg WHO=compose --no-cache context 2> statuses
python3 "$CASES/../solve_statuses.py" statuses 'step of compose'
printf 'FROM base\nRUN echo dead; exit 3\n' > context/broken
# shellcheck disable=SC2086
fails "$plugin" build $base --progress rawjson -f context/broken context 2> statuses
python3 "$CASES/../solve_statuses.py" statuses dead
grep -q '^ERROR: ' statuses

# What Compose hands over: a network and entitlements are granted to who reads this form, an agent may have no path, and quiet is
# said behind it.
cat > handed.json <<X
{"group": {"default": {"targets": ["app"]}}, "target": {
  "app": {"context": "context", "contexts": {"base": "oci-layout://$BASE"}, "network": "host", "output": ["type=image"],
    "entitlements": ["security.insecure"], "tags": ["handed/app"], "args": {"WHO": "hands"}},
  "wrong": {"contexts": {"base": "oci-layout://$BASE"}, "dockerfile-inline": "FROM base\\nRUN exit 3\\n"}}}
X
"$plugin" bake --file - --progress rawjson --metadata-file handed < handed.json 2> statuses
python3 "$CASES/../solve_statuses.py" statuses 'step of hands'
grep -q '"app": {' handed
fails "$plugin" bake --file - --progress plain < handed.json 2> log
grep -q -- '--allow ' log
"$plugin" bake --file - --progress rawjson --progress=quiet --allow network.host,security.insecure < handed.json > out 2>&1
[ ! -s out ]
"$plugin" bake --file - --progress rawjson --call lint --metadata-file asked < handed.json > /dev/null 2>&1
grep -q '"app": {}' asked
# The actions show one line of what went wrong.
fails "$plugin" buildx bake --file - wrong < handed.json 2> log
grep -q '^ERROR: the target wrong is not built: .*exit' log

# As the actions call.
"$plugin" buildx > /dev/null
"$plugin" buildx version | grep -Eq '^github.com/docker/buildx v0\.[0-9]+\.[0-9]+ '
[ "$("$plugin" buildx create --name mine --driver docker-container --buildkitd-flags --debug --use 2> note)" = mine ]
grep -q -- '--buildkitd-flags' note
"$plugin" buildx inspect --bootstrap --builder mine mine > inspected
grep -q '^Name: *mine$' inspected
grep -q '^Status: *running$' inspected
grep -q '^Platforms: .*linux/' inspected
"$plugin" buildx ls | grep -q '^default\*'
"$plugin" buildx ls --format json | grep -q '"Status":"running"'
"$plugin" buildx use mine
"$plugin" buildx du > /dev/null
"$plugin" buildx rm mine
"$plugin" buildx history ls | grep -q 'BUILD ID'
fails "$plugin" buildx history logs abc
fails "$plugin" buildx build 2> mistake
grep -q 'which is a dot' mistake

# When docker hangs up, the build is over.
printf 'FROM base\nRUN echo the step is at work; sleep 60\n' > context/slow
# shellcheck disable=SC2086
python3 "$CASES/../hang_up.py" "$plugin" buildx build $base --progress plain -f context/slow context

# With docker itself, where it is here; it needs no daemon.
if command -v docker > /dev/null && docker --version | grep -q '^Docker version 2[3-9]'; then
  export DOCKER_HOST=unix://$PWD/no-daemon
  docker info --format '{{range .ClientInfo.Plugins}}{{.Name}} {{.Vendor}}{{end}}' > plugins 2> /dev/null || true
  grep -q 'buildx wythe' plugins
  docker buildx version | grep -q wythe
  # shellcheck disable=SC2086
  docker build $base -t by-docker --build-arg WHO=me context 2> log || { cat log; exit 1; }
  "$WYTHE" run by-docker true
  unset DOCKER_HOST
fi

"$WYTHE" install-docker-plugin --remove > /dev/null
fails test -e "$plugin"
printf '#!/bin/sh\n' > "$plugin"
fails "$WYTHE" install-docker-plugin
fails "$WYTHE" install-docker-plugin --remove
test -f "$plugin"
