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

# A source is cleaned as a text before anything is looked up.
mkdir -p context/d context/e/s
echo top > context/f
ln -s e/s context/link
cat > context/Dockerfile <<'D'
FROM base AS files
RUN mkdir -p /d/e /q/z && echo d > /d/a && echo q > /q/a && ln -s /q/z /d/s

FROM base
RUN --mount=source=d/../f,target=/m [ "$(cat /m)" = top ]
RUN --mount=source=../nope/../f,target=/m [ "$(cat /m)" = top ]
RUN --mount=source=link/../f,target=/m [ "$(cat /m)" = top ]
RUN --mount=from=files,source=/nope/../d,target=/m [ -d /m/e ]
RUN --mount=from=files,source=/d/s/../a,target=/m [ "$(cat /m)" = d ]
RUN --mount=from=files,source=/d/a/../a/,target=/m [ "$(cat /m)" = d ]
RUN --mount=type=cache,from=files,source=/nope/../d/s/..,target=/m [ "$(cat /m/a)" = d ]
D
"$WYTHE" build --build-context base=oci-layout://"$BASE" context

# What is not there is the Dockerfile's mistake, not this machine's.
cat > context/Dockerfile <<'D'
FROM base AS files
FROM base
RUN --mount=from=files,source=missing,target=/m true
D
status=0
"$WYTHE" build --build-context base=oci-layout://"$BASE" context 2> log || status=$?
[ "$status" = 2 ]
grep -q '^Dockerfile:3:' log
grep -q '"missing" not found' log
