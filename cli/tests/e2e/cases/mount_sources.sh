# What a mount has at its root: the directory that is named, with its owner and its mode.
mkdir context
cat > context/Dockerfile <<'D'
FROM base AS files
RUN mkdir -p /private/below && chmod 711 /private && chown 5:6 /private && ln -s private /link

FROM base
RUN --mount=from=files,source=private,target=/m \
    [ "$(stat -c '%a %u:%g' /m)" = "711 5:6" ] && [ -d /m/below ]
RUN --mount=type=cache,from=files,source=link,target=/m \
    [ "$(stat -c '%a %u:%g' /m)" = "711 5:6" ] && touch /m/new
RUN --mount=type=cache,from=files,source=link,target=/m [ -e /m/new ] && [ -d /m/below ]
RUN --mount=from=scratch,target=/m,rw [ -z "$(ls -A /m)" ] && touch /m/new
D
"$WYTHE" build -t mounts --build-context base=oci-layout://"$BASE" context

# What is not there is the Dockerfile's mistake, not this machine's.
cat > context/Dockerfile <<'D'
FROM base AS files
FROM base
RUN --mount=from=files,source=missing,target=/m true
D
status=0
"$WYTHE" build --build-context base=oci-layout://"$BASE" context 2> log || status=$?
[ "$status" = 2 ]
grep -q '^Dockerfile:3:.*"missing" not found' log
