# What --no-cache does to cache mounts, and which variables a step gets from outside.
mkdir context
base="--build-context base=oci-layout://$BASE"
cat > context/Dockerfile <<'D'
FROM base AS fetch
RUN --mount=type=cache,target=/c,id=fetched [ -z "$(ls /c)" ] && echo crate > /c/crate
RUN --mount=type=cache,target=/c,id=fetched [ "$(cat /c/crate)" = crate ]

FROM fetch AS build
RUN --mount=type=cache,target=/c,id=fetched --mount=type=cache,target=/d,id=fetched [ -f /c/crate ] && [ -f /d/crate ]
RUN --mount=type=cache,target=/l,id=locked,sharing=locked --mount=type=cache,target=/m,id=locked,sharing=locked \
    [ -z "$(ls /l)" ] && echo x > /l/x && [ -f /m/x ]
D
for _ in 1 2; do
  # shellcheck disable=SC2086
  "$WYTHE" build --no-cache $base context
done

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
