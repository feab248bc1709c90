# What --no-cache does to cache mounts, and which variables a step gets from outside.
mkdir context
base="--build-context base=oci-layout://$BASE"
cat > context/Dockerfile <<'D'
FROM base AS fetch
ARG ROUND
RUN --mount=type=cache,target=/c,id=fetched [ "$(ls /c)" = "${ROUND:+crate}" ] && echo crate > /c/crate
RUN --mount=type=cache,target=/c,id=fetched [ "$(cat /c/crate)" = crate ]

FROM fetch AS build
RUN --mount=type=cache,target=/c,id=fetched --mount=type=cache,target=/d,id=fetched [ -f /c/crate ] && [ -f /d/crate ]
RUN --mount=type=cache,target=/l,id=locked,sharing=locked --mount=type=cache,target=/m,id=locked,sharing=locked \
    [ -f /l/x ] || echo x > /l/x && [ -f /m/x ]
RUN --mount=type=cache,target=/p,id=own,sharing=private [ -z "$(ls /p)" ] && echo x > /p/x
D
# What steps share or lock stays, and what is a step's own is emptied.
for round in "" 2; do
  # shellcheck disable=SC2086
  "$WYTHE" build --no-cache --build-arg ROUND=$round $base context
done

# What a step relies on that runs as ever is not emptied for another one's sake.
cat > context/Dockerfile <<'D'
FROM base AS one
RUN --mount=type=cache,target=/p,id=both,sharing=private [ -f /p/x ] || echo x > /p/x
FROM one AS two
RUN --mount=type=cache,target=/p,id=both,sharing=private [ -f /p/x ]
D
# shellcheck disable=SC2086
"$WYTHE" build $base context
# shellcheck disable=SC2086
"$WYTHE" build --no-cache-filter two $base context

# A mount is known by the name of the stage that it starts with, wherever else the step reads from.
cat > context/Dockerfile <<'D'
FROM base AS seed
RUN mkdir /seed && echo seed > /seed/s
FROM base AS other
RUN echo other > /o
FROM base
RUN --mount=type=cache,target=/c,id=seeded,from=seed,source=/seed [ -f /c/s ] && echo x > /c/x
RUN --mount=from=other,source=/o,target=/o --mount=type=cache,target=/c,id=seeded,from=seed,source=/seed [ -f /c/x ]
D
# shellcheck disable=SC2086
"$WYTHE" build $base context

# They are listed with what they take, and removed one by one.
"$WYTHE" cache ls > listed
grep -q 'linux/.* seeded$' listed
"$WYTHE" cache ls --format json | grep -q '"id":"seeded"'
"$WYTHE" cache rm seeded
if "$WYTHE" cache ls | grep -q seeded; then exit 1; fi
if "$WYTHE" cache rm seeded 2> log; then exit 1; fi
grep -q 'no cache mount' log

# A cache that somebody uses is not emptied, and who wants it alone waits.
cat > context/Dockerfile <<'D'
FROM base
ARG STEP
RUN --mount=type=cache,target=/l,id=used,sharing=locked if [ $STEP = 1 ]; then echo x > /l/x; sleep 2; [ -f /l/x ]; rm /l/x; else [ ! -f /l/x ]; fi
D
# shellcheck disable=SC2086
"$WYTHE" build --build-arg STEP=1 $base context & first=$!
sleep 1
# shellcheck disable=SC2086
"$WYTHE" build --no-cache --build-arg STEP=2 $base context
wait "$first"

# Two steps that want the same two caches do not wait for each other for ever, whatever the order.
cat > context/Dockerfile <<'D'
FROM base AS one
RUN --mount=type=cache,id=first,target=/1,sharing=locked --mount=type=cache,id=second,target=/2,sharing=locked sleep 0.2
FROM base AS two
RUN --mount=type=cache,id=second,target=/2,sharing=locked --mount=type=cache,id=first,target=/1 sleep 0.2
FROM base
COPY --from=one /etc/passwd /one
COPY --from=two /etc/passwd /two
D
# shellcheck disable=SC2086
timeout 60 "$WYTHE" build --no-cache $base context

cat > context/Dockerfile <<'D'
FROM base
ENV https_proxy=env HTTP_PROXY=env
RUN [ "$HTTPS_PROXY $https_proxy $HTTP_PROXY" = "given given env" ]
ENV TOKEN=env
RUN --mount=type=secret,id=absent,env=TOKEN set -u && [ -z "$TOKEN" ]
RUN [ "$TOKEN" = env ]
D
# shellcheck disable=SC2086
"$WYTHE" build --build-arg HTTPS_PROXY=given --build-arg http_proxy= $base context

# A cache mount inside of another one: its place stays there, as with BuildKit.
cat > context/Dockerfile <<'D'
FROM base
RUN --mount=type=cache,target=/root/.cache,id=outer --mount=type=cache,target=/root/.cache/go/build,id=inner \
    echo x > /root/.cache/go/build/x && echo y > /root/.cache/y && ls /root/.cache > /seen
RUN --mount=type=cache,target=/outer,id=outer ls /outer /outer/go/build >> /seen
RUN --mount=type=cache,target=/inner,id=inner ls /inner >> /seen
D
# shellcheck disable=SC2086
"$WYTHE" build $base -o type=local,dest=nested context
[ "$(tr '\n' ' ' < nested/seen)" = "go y /outer: go y  /outer/go/build: x " ]
