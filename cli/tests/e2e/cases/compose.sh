# `wythe compose build`: the services of a Compose project, named and labelled as docker compose does it.
export BASE
mkdir -p project/web project/parts/extra project/db && cd project
cat > web/Dockerfile <<'D'
FROM base
ARG MODE
ARG GIVEN=none
RUN --mount=type=secret,id=token echo "$MODE $GIVEN $(cat /run/secrets/token)" > /said
D
cat > compose.yaml <<'D'
name: shop
services:
  web:
    build:
      context: web
      args: [MODE]
      additional_contexts: {base: "oci-layout://${BASE}"}
      secrets: [{source: key, target: token}]
    depends_on: [db]
  db:
    image: shop/db:${TAG:-1}
    build:
      context: db
      tags: [shop/db:extra]
      dockerfile_inline: |
        FROM web
        COPY mine /mine
      additional_contexts: {web: "service:web"}
  tools:
    profiles: [tools]
    extends: {file: parts/compose.yaml, service: common}
  broken:
    profiles: [broken]
    build:
      dockerfile_inline: |
        FROM web
        RUN exit 5
      additional_contexts: {web: "service:web"}
  redis:
    image: redis
include:
  - parts/extra/compose.yaml
secrets:
  key: {environment: KEY}
D
cat > compose.override.yaml <<'D'
services:
  db:
    labels: {a: b}
    build: {labels: {over: "yes"}}
D
printf 'KEY=from-file\nMODE=slow\n' > .env
echo mine > db/mine
printf 'services:\n  common:\n    build: {context: extra, dockerfile: own.Dockerfile}\n' > parts/compose.yaml
printf 'FROM scratch\nCOPY here /tool\n' > parts/extra/own.Dockerfile
echo here > parts/extra/here
printf 'services:\n  extra:\n    image: shop/extra\n    build: {dockerfile: own.Dockerfile}\n' > parts/extra/compose.yaml

"$WYTHE" compose build > out 2> log || { cat log; exit 1; }
[ ! -s out ]
[ "$("$WYTHE" run shop-web cat /said)" = "slow none from-file" ]
[ "$("$WYTHE" run shop/db:1 cat /mine)" = mine ]
"$WYTHE" inspect -f '{{index .Config.Labels "com.docker.compose.service"}} {{index .Config.Labels "over"}}' shop/db:extra > labels
[ "$(cat labels)" = "db yes" ]
"$WYTHE" images -q shop/extra | grep -q .
fails "$WYTHE" inspect shop-tools > /dev/null 2>&1

# Services by name with what they need, profiles, variables of the environment, flags for all; and from below.
(cd db && MODE=fast KEY=other "$WYTHE" compose build --build-arg GIVEN --build-arg GIVEN=flag --metadata-file ../about db 2> /dev/null)
[ "$("$WYTHE" run shop/db:1 cat /said)" = "fast flag other" ]
grep -q '"db": {' about
[ "$(grep -c '"extra": {' about || true)" = 0 ]
"$WYTHE" compose --profile tools -p other build tools 2> /dev/null
"$WYTHE" cp other-tools:/tool - | tar -xO | grep -q here
TAG=2 COMPOSE_PROJECT_NAME=third "$WYTHE" compose -f compose.yaml build web db 2> /dev/null
"$WYTHE" images -q third-web | grep -q .
"$WYTHE" images -q shop/db:2 | grep -q .
"$WYTHE" compose build redis 2> log
grep -q 'no service is built' log
"$WYTHE" compose build -q extra > out 2>&1
[ ! -s out ]

# What is shown is a definition that means the same, and nothing is built for it.
"$WYTHE" compose build --print web > shown
grep -q '"dockerfile": "Dockerfile"' shown
"$WYTHE" bake --file shown --print > again
cmp shown again
"$WYTHE" compose build --check web > /dev/null

# Mistakes and failures.
fails "$WYTHE" compose build wab 2> log
grep -q 'did you mean web?' log
fails "$WYTHE" compose build broken 2> log
grep -q 'exit 5' log
cd /
fails "$WYTHE" compose build 2> "$OLDPWD/log"
grep -q 'no Compose file here' "$OLDPWD/log"
