# The everyday commands of docker, as scripts have them.
mkdir context
printf 'FROM base\nLABEL team=one\nENV A=1\nRUN mkdir /d; echo old > /d/f; echo same > /d/g\n' > context/Containerfile
base="--build-context base=oci-layout://$BASE"
# shellcheck disable=SC2086
"$WYTHE" build -q $base -t team/app:1 -t team/app:2 context
printf 'FROM team/app:1\nENV A=2\nRUN echo newer > /d/f; chmod 700 /d/g; echo x > /d/h\n' > context/Containerfile
# shellcheck disable=SC2086
"$WYTHE" build -q --build-context team/app:1=docker-image://team/app:1 -t team/next context

# Lists.
"$WYTHE" images -q team/app > ids
[ "$(wc -l < ids)" = 1 ]
id=$(cat ids)
[ "${#id}" = 12 ]
[ "$("$WYTHE" images --format '{{.Repository}}:{{.Tag}}' team/app | sort | tr '\n' ' ')" = 'team/app:1 team/app:2 ' ]
"$WYTHE" images team/app | head -n 1 | grep -q '^REPOSITORY *TAG *IMAGE ID *CREATED *SIZE$'
"$WYTHE" images | awk '$1 == "team/app" && $2 == 1 { print $3 }' | grep -qx "$id"
"$WYTHE" --config "$PWD" -D --log-level=debug images -q > /dev/null
[ "$("$WYTHE" -v)" = "$("$WYTHE" --version)" ]
"$WYTHE" images --format 'table {{.ID}}\t{{.Tag}}' team/app | head -n 1 | grep -q '^IMAGE ID *TAG$'
[ "$("$WYTHE" image ls -q --no-trunc --filter reference='team/a*:1')" = "$("$WYTHE" inspect -f '{{.Id}}' team/app:1)" ]
[ -z "$("$WYTHE" images -q -f dangling=true)" ]
"$WYTHE" images --filter label=team=one --filter since=team/app:1 --format '{{.Repository}}' | grep -qx team/next
fails "$WYTHE" images --filter nope=1 2> refused
grep -q '"nope"' refused
fails "$WYTHE" images --format '{{.Idd}}'

# What an image is, in docker's words.
"$WYTHE" inspect team/app:1 team/next > both
python3 - <<'END'
import json
one, two = json.load(open("both"))
assert one["RepoTags"] == ["team/app:1", "team/app:2"], one["RepoTags"]
assert "A=1" in one["Config"]["Env"] and "A=2" in two["Config"]["Env"]
assert one["Config"]["Entrypoint"] is None and one["Os"] == "linux"
assert len(two["RootFS"]["Layers"]) == len(one["RootFS"]["Layers"]) + 1
END
[ "$("$WYTHE" inspect --format '{{index .Config.Labels "team"}} {{join .RepoTags ","}}' "$id")" = 'one team/app:1,team/app:2' ]
"$WYTHE" inspect -f '{{json .Config.Env}}' team/app:1 | python3 -c 'import json, sys; assert "A=1" in json.load(sys.stdin)'
"$WYTHE" history --no-trunc --format '{{.CreatedBy}}' team/app:1 | grep -q 'echo same'
[ "$("$WYTHE" history -q team/app:1 | head -n 1)" = "$id" ]

# Archives of several, through pipes.
"$WYTHE" save team/app:1 team/next:latest -o both.tar
"$WYTHE" tag "$id" team/again:1
"$WYTHE" rmi team/app:1 team/next > /dev/null
"$WYTHE" load < both.tar > digests
[ "$(wc -l < digests)" = 2 ]
"$WYTHE" inspect team/next > /dev/null

# Names that are not there, ids with several names.
fails "$WYTHE" rmi team/none
"$WYTHE" rmi -f team/none
fails "$WYTHE" rmi "$id" 2> several
grep -q 'several names' several
"$WYTHE" rmi -f "$id" > removed
grep -q 'team/again:1' removed
fails "$WYTHE" inspect team/app:1
"$WYTHE" load -q -i both.tar

# Commands in images.
printf '# ours\nB=from file\nHOME\n' > variables
mkdir shown
echo here > shown/f
"$WYTHE" run --rm --name any --env-file variables -v "$PWD/shown:/m:ro" -v ./shown:/w --tmpfs /t:size=1m --hostname box \
  -p 8080:8080 team/app:1 sh -c 'echo "$B"; cat /m/f; echo w > /w/g; echo x > /m/x; df /t | tail -n 1; hostname' > out 2> err || true
grep -qx 'from file' out
grep -qx here out
[ "$(cat shown/g)" = w ]
[ ! -e shown/x ]
"$WYTHE" run --rm --init -q --restart no --net bridge --add-host far:10.1.2.3 --ulimit nofile=100:200 --shm-size 1m -h box team/app:1 \
  sh -c 'grep far /etc/hosts; ulimit -n; df -k /dev/shm | tail -n 1 | tr -s " " | cut -d " " -f 2; hostname' > out
[ "$(tr '\t\n' '  ' < out)" = '10.1.2.3 far 100 1024 box ' ]
"$WYTHE" run --rm --read-only --mount "type=bind,source=$PWD/shown,target=/m,readonly" --mount "type=bind,src=$PWD/shown,dst=/w" \
  --mount type=tmpfs,target=/t team/app:1 \
  sh -c 'cat /m/f; echo v > /w/g; echo t > /t/f; cat /t/f; for to in /new /m/x; do echo no > $to; done' > out 2> err || true
[ "$(cat out)" = "$(printf 'here\nt')" ]
[ "$(grep -c 'Read-only' err)" = 2 ]
[ "$(cat shown/g)" = v ]
"$WYTHE" run --hostname box team/app:1 sh -c 'cat /proc/sys/kernel/hostname' | grep -qx box
fails "$WYTHE" run -p 80:8080 team/app:1 true 2> refused
grep -q 'network of this machine' refused
fails "$WYTHE" run -v named:/x team/app:1 true
fails "$WYTHE" run --pull never team/not-here true
if [ -n "$REGISTRY" ]; then
  "$WYTHE" tag team/app:1 "$REGISTRY/everyday/app:1"
  "$WYTHE" tag team/next "$REGISTRY/everyday/app:2"
  "$WYTHE" push --all-tags "$REGISTRY/everyday/app" > pushed
  [ "$(wc -l < pushed)" = 2 ]
  "$WYTHE" push -q "$REGISTRY/everyday/app:1" > /dev/null
  "$WYTHE" rmi "$REGISTRY/everyday/app:1" "$REGISTRY/everyday/app:2" > /dev/null
  [ "$("$WYTHE" run "$REGISTRY/everyday/app:2" cat /d/f)" = newer ]
  "$WYTHE" manifest inspect "$REGISTRY/everyday/app:1" | grep -q '"schemaVersion"'
  "$WYTHE" buildx imagetools create -t "$REGISTRY/everyday/app:all" "$REGISTRY/everyday/app:1" > /dev/null
  "$WYTHE" buildx imagetools inspect "$REGISTRY/everyday/app:all" | grep -q image.index
  "$WYTHE" buildx imagetools inspect "$REGISTRY/everyday/app:1" | grep -q '^Digest: *sha256:'
  "$WYTHE" buildx imagetools inspect --format '{{.Manifest.digest}}' "$REGISTRY/everyday/app:1" | grep -q "$(grep -o 'sha256:.*' pushed | head -n 1)"
  "$WYTHE" buildx imagetools inspect --format '{{json .Image}}' "$REGISTRY/everyday/app:all" | grep -q '"diff_ids"'
  "$WYTHE" buildx imagetools inspect --format '{{.Image.os}} {{json .Provenance}}' "$REGISTRY/everyday/app:1" | grep -qx 'linux null'
  printf 'FROM scratch\nCOPY f /f\n' > stated
  "$WYTHE" build -q -f stated --provenance mode=max --push -t "$REGISTRY/everyday/stated:1" shown > /dev/null
  "$WYTHE" buildx imagetools inspect --format '{{json .Provenance.SLSA}}' "$REGISTRY/everyday/stated:1" | grep -q '"buildDefinition"\|"buildType"'
  "$WYTHE" buildx imagetools create --metadata-file about -t "$REGISTRY/everyday/app:more" "$REGISTRY/everyday/app:1" > made
  grep -q "\"containerimage.digest\": \"$(cat made)\"" about
  fails "$WYTHE" buildx imagetools inspect --format '{{.Images}}' "$REGISTRY/everyday/app:1"
fi

# Files out of images, and what differs.
"$WYTHE" cp team/app:1:/d/f copied
[ "$(cat copied)" = old ]
mkdir into
"$WYTHE" cp team/app:1:/d into
[ "$(cat into/d/g)" = same ]
"$WYTHE" cp team/app:1:/d/. into
[ "$(cat into/f)" = old ]
"$WYTHE" cp team/app:1:/d - | tar -t | grep -qx 'd/f'
fails "$WYTHE" cp team/app:1:/nope out 2> told
grep -q 'has no /nope' told
"$WYTHE" diff team/app:1 team/next > different
cat different
grep -q '^config Env .*A=1.*A=2' different
grep -q '^C /d/f  size 4 -> 6$' different
grep -q '^C /d/g  mode 0644 -> 0700$' different
grep -q '^A /d/h$' different
[ -z "$("$WYTHE" diff team/app:1 team/app:1)" ]
"$WYTHE" diff --format json team/app:1 team/next | python3 -m json.tool > /dev/null

# The groups.
"$WYTHE" system df > /dev/null
"$WYTHE" system prune -f > /dev/null
"$WYTHE" builder prune -f --filter until=240h > /dev/null
"$WYTHE" image prune -f > /dev/null
[ "$("$WYTHE" context show)" = default ]
"$WYTHE" help build | grep -q -- --tag
