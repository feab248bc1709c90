# What a build did is known afterwards: its steps, why they ran, what they wrote, what it came to; and nothing of its secrets.
export WYTHE_STORE=$PWD/store
build() { "$WYTHE" build --progress=plain --build-context "base=oci-layout://$BASE" "$@"; }
mkdir project
cat > project/Dockerfile <<'D'
FROM base AS one
ARG API_TOKEN
RUN echo "token $API_TOKEN" && echo out && echo err >&2
FROM base
COPY --from=one /etc /copied
COPY file /
D
echo 1 > project/file

fails "$WYTHE" history inspect
[ "$("$WYTHE" history ls | wc -l)" = 1 ]
build -t app:1 --build-arg API_TOKEN=hunter2-token --build-arg VERSION=7 project 2> log
build -t app:1 --build-arg API_TOKEN=hunter2-token --build-arg VERSION=7 project 2>> log
fails build --target nowhere project
echo 'RUN echo last words; exit 3' >> project/Dockerfile
fails build -t app:2 project

# The latest first, in the columns of buildx.
"$WYTHE" history ls | tee list
[ "$(head -n 1 list | tr -s ' ')" = 'BUILD ID NAME STATUS CREATED AT DURATION' ]
[ "$("$WYTHE" history ls --format '{{.Name}}:{{.Status}}' | tr '\n' ' ')" = \
  'project:Error project (nowhere):Error project:Completed project:Completed ' ]
[ "$("$WYTHE" history ls --filter status=error --format '{{.Ref}}' | wc -l)" = 2 ]
[ "$("$WYTHE" history ls --filter 'startedAt<1h' | wc -l)" = 1 ]
"$WYTHE" buildx history ls --format json | grep -c '"status":"Completed"' | grep -qx 2

# The one that failed says where and why, and what the step wrote.
"$WYTHE" history inspect | tee inspected
grep -q 'exit 3' inspected
"$WYTHE" history logs 2> logged
grep -q ' last words$' logged
grep -q '^#[0-9]* ERROR ' logged
[ "$("$WYTHE" history inspect --format '{{.Status}}' ^1)" = failed ]

# The one that was cached, and the one that ran: every step with why.
[ "$("$WYTHE" history inspect --format '{{.NumCachedSteps}}/{{.NumTotalSteps}}' ^2)" = 2/2 ]
id=$("$WYTHE" history ls --no-trunc --format '{{.Ref}}' | tail -n 1)
"$WYTHE" history logs "$(printf %.8s "$id")" 2> logged
cat logged
grep -q ' out$' logged
grep -q ' err$' logged
grep -q '^#[0-9]* because ' logged
"$WYTHE" history export "$id" > record.json
python3 - "$("$WYTHE" inspect --format '{{.Id}}' app:1)" <<'P'
import json, sys
record = json.load(open("record.json"))
assert record["status"] == "completed" and record["version"] == 1, record
assert record["build_args"] == {"API_TOKEN": None, "VERSION": "7"}, record["build_args"]
steps = {step["step"]: step for step in record["steps"]}
run = next(step for step in steps.values() if "RUN echo" in step["name"])
assert run["line"] == 3 and run["outcome"] == "ran" and run["ended"] >= run["started"], run
assert all(steps[number]["kind"] == "base" for number in run["inputs"]), steps
copies = [step for step in steps.values() if step["kind"] == "copy"]
assert len(copies) == 2 and all(copy["layer"]["size"] > 0 for copy in copies), copies
assert any(run["step"] in copy["inputs"] for copy in copies), copies
[result] = record["results"]
assert result["names"] == ["docker.io/library/app:1"] and result["digest"].startswith("sha256:"), result
assert record["dockerfile"]["text"].startswith("FROM base AS one"), record["dockerfile"]
P
"$WYTHE" history trace "$id" | python3 -c 'import json, sys; assert len(json.load(sys.stdin)["data"][0]["spans"]) >= 4'

# A page about a build can be had when it runs and afterwards, and what a build says is text in it.
fails build -t app:2 --timings --build-arg 'BUILDKIT_BUILD_NAME=<script>x</script>' project 2> log
grep -q '^note: timings: wythe-timings.html$' log
"$WYTHE" history export --html -o page.html
for page in wythe-timings.html page.html; do
  grep -q 'exit 3' $page
  grep -q '&lt;script&gt;x&lt;/script&gt;' $page
  fails grep -qi -e '<script' -e 'https*:' $page
done
[ "$(XDG_CACHE_HOME=$PWD/cache DISPLAY= WAYLAND_DISPLAY= "$WYTHE" history open "$id")" = "$PWD/cache/wythe/builds/$id.html" ]
grep -q 'COPY --from=one /etc /copied' "cache/wythe/builds/$id.html"
"$WYTHE" history rm ^0

# No secret is anywhere, whatever the step printed.
fails grep -rq hunter2 record.json logged
"$WYTHE" history logs "$id" 2>&1 | grep -q 'token \*\*\*'

# Docker's word for an image stays; records go, images stay.
"$WYTHE" history app:1 > of_image
grep -q 'COPY file /' of_image
"$WYTHE" history rm ^0 ^1
[ "$("$WYTHE" history ls --format '{{.Ref}}' | wc -l)" = 2 ]
"$WYTHE" history rm --all
fails "$WYTHE" history logs
"$WYTHE" inspect app:1 > /dev/null

# As many are kept as are to be, and none where none is wanted.
for n in 1 2 3; do WYTHE_HISTORY_MAX_BUILDS=2 build --target one project 2> /dev/null; done
[ "$("$WYTHE" history ls --format '{{.Ref}}' | wc -l)" = 2 ]
WYTHE_HISTORY_MAX_BUILDS=0 build --target one project 2> /dev/null
[ "$("$WYTHE" history ls --format '{{.Ref}}' | wc -l)" = 2 ]

# A build that runs is seen to run, and one that was killed to be lost.
mkdir long
printf 'FROM base\nRUN sleep 60\n' > long/Dockerfile
"$WYTHE" build --progress=plain --build-context "base=oci-layout://$BASE" long 2> running.log &
pid=$!
tries=0
until grep -q 'RUN sleep 60' running.log; do tries=$((tries + 1)); [ $tries -lt 100 ]; sleep 0.1; done
[ "$("$WYTHE" history ls --filter status=running --format '{{.Name}} {{.Status}}')" = 'long Running' ]
kill -KILL $pid
wait $pid || true
tries=0
until [ "$("$WYTHE" history inspect --format '{{.Status}}' ^0)" = lost ]; do tries=$((tries + 1)); [ $tries -lt 50 ]; sleep 0.1; done
[ "$("$WYTHE" history ls --filter status=lost --format '{{.Name}} {{.Status}}')" = 'long Lost' ]
"$WYTHE" history rm ^0

# A record that is damaged is passed by, and said to be.
for record in store/builds/*; do : > "$record"; break; done
"$WYTHE" history ls --format '{{.Ref}}' 2> said > refs
[ "$(wc -l < refs)" = 1 ]
grep -q 'cannot be read' said
