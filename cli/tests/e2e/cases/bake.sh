# Definitions of many builds: HCL and Compose files mean what they say, a step that several targets
# need runs once, a target can be the context of another, and one that fails need not stop the rest.
export BASE
mkdir app && cat > app/Dockerfile <<'X'
FROM base AS shared
RUN cat /proc/sys/kernel/random/uuid > /stamp

FROM shared AS one
ARG WHICH
RUN echo "$WHICH" > /which
X
cat > docker-bake.hcl <<'X'
variable "BASE" {}
variable "WHICH" {
  default = ["a", "b"]
  type    = list(string)
}
target "_app" {
  context  = "app"
  contexts = { base = "oci-layout://${BASE}" }
}
target "app" {
  inherits = ["_app"]
  name     = "app-${which}"
  matrix   = { which = WHICH }
  args     = { WHICH = which }
  tags     = ["bake/app:${which}"]
}
target "stamp" {
  inherits = ["_app"]
  target   = "shared"
}
target "files" {
  contexts          = { stamped = "target:stamp" }
  dockerfile-inline = <<-EOT
    FROM scratch
    COPY --from=stamped /stamp /
  EOT
  output            = ["type=local,dest=files"]
}
target "broken" {
  inherits          = ["_app"]
  dockerfile-inline = "FROM base\nRUN false\n"
}
target "above" {
  contexts          = { broken = "target:broken" }
  dockerfile-inline = "FROM broken\n"
}
group "default" {
  targets = ["app", "files"]
}
X

"$WYTHE" bake --metadata-file metadata > out 2> log
[ ! -s out ]
# How often the shared step ran: its numbers that end, and were not found.
runs() {
  sed -n 's/^\(#[0-9]*\) \[.*RUN cat .*uuid.*/\1 DONE/p' "$1" > numbers
  grep -c -f numbers "$1" || true
}
[ "$(runs log)" = 1 ]
stamp=$(cat files/stamp)
for which in a b; do
  [ "$("$WYTHE" run bake/app:$which cat /which)" = $which ]
  [ "$("$WYTHE" run bake/app:$which cat /stamp)" = "$stamp" ]
done
for target in app-a app-b files stamp; do grep -q "\"$target\": {" metadata; done
# The target that is only a context of another has no name in the store.
[ "$("$WYTHE" images | grep -c stamp || true)" = 0 ]

# Nothing is done twice, and without a cache everything once.
"$WYTHE" bake > /dev/null 2> log
[ "$(runs log)" = 0 ]
"$WYTHE" bake --no-cache > /dev/null 2> log
[ "$(runs log)" = 1 ]
[ "$(cat files/stamp)" != "$stamp" ]

# What the command line and the environment change.
WHICH=c "$WYTHE" bake app --set '*.tags=bake/other:c' 2> /dev/null
[ "$("$WYTHE" run bake/other:c cat /which)" = c ]
"$WYTHE" bake --print --var 'WHICH=x,y' app | grep -q '"app-y": {'
"$WYTHE" bake --list targets | grep -q '^files'

# One that fails stops the others, or only those that need it.
fails "$WYTHE" bake above files 2> log
grep -q 'the target broken is not built' log
rm -r files
fails "$WYTHE" bake --execution defer-error above files 2> log
[ -s files/stamp ]
fails "$WYTHE" bake --set app-a.entitlements=security.insecure app-a 2> log
grep -q -- '--allow security.insecure' log
fails "$WYTHE" bake ap 2> log
grep -q 'did you mean app?' log

# The same of a Compose file, and both together.
mkdir compose && cd compose
cat > compose.yaml <<'X'
services:
  web:
    image: compose/web
    build:
      context: ../app
      args: [WHICH]
      additional_contexts: {base: "oci-layout://${BASE}"}
    environment: {WHICH: from-compose}
  plain:
    image: compose/plain
    build:
      dockerfile_inline: |
        FROM web
        COPY --from=web /which /again
      additional_contexts: {web: "service:web"}
  other:
    image: other
X
"$WYTHE" bake > /dev/null 2> log
[ "$("$WYTHE" run compose/plain cat /again)" = from-compose ]
echo '{"target": {"web": {"args": {"WHICH": "over"}}}}' > docker-bake.json
"$WYTHE" bake web 2> /dev/null
[ "$("$WYTHE" run compose/web cat /which)" = over ]
"$WYTHE" bake --print | "$WYTHE" bake -f - --print > again
"$WYTHE" bake --print | cmp - again
cd ..

# Three hundred targets of one file: what they share runs once.
mkdir many && cat > many/Dockerfile <<'X'
FROM base AS shared
RUN cat /proc/sys/kernel/random/uuid > /moment
FROM scratch
ARG N
COPY --from=shared /moment /moment-$N
X
cat > many.hcl <<'X'
variable "BASE" {}
target "default" {
  name     = "t${n}"
  matrix   = { n = range(0, 300) }
  context  = "many"
  contexts = { base = "oci-layout://${BASE}" }
  args     = { N = n }
  output   = [n % 100 == 0 ? "type=local,dest=many-out/${n}" : "type=cacheonly"]
}
X
"$WYTHE" bake -f many.hcl --metadata-file metadata > /dev/null 2> log
[ "$(runs log)" = 1 ]
[ "$(grep -c '"t[0-9]*": {' metadata)" = 300 ]
cmp many-out/0/moment-0 many-out/100/moment-100
cmp many-out/0/moment-0 many-out/200/moment-200
