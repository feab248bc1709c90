# A program has sockets of its own in a cache mount that other steps share; where steps cannot be kept
# apart there, they wait for each other.
agent=$(command -v ssh-agent) || skip "no ssh-agent"
mkdir root
for program in "$agent" "$(command -v ssh-add)"; do
  ldd "$program" | grep -o "/[^ ]*" > libraries
  for file in "$program" $(cat libraries); do
    mkdir -p "root$(dirname "$file")"
    cp -L "$file" "root$file"
  done
done
cat > Dockerfile <<DOCKERFILE
FROM base
COPY root /
ENV PATH=/usr/bin:/bin
RUN --mount=type=cache,target=/c ssh-agent -a /c/agent > /dev/null && \
    SSH_AUTH_SOCK=/c/agent ssh-add -l; [ \$? = 1 ] && test -S /c/agent
RUN --mount=type=cache,target=/c echo again; test ! -e /c/agent && ssh-agent -a /c/agent > /dev/null && \
    { SSH_AUTH_SOCK=/c/agent ssh-add -l || [ \$? = 1 ]; }
DOCKERFILE
"$WYTHE" build --progress=plain --build-context base=oci-layout://"$BASE" -t agent . 2>err
[ "$(grep -c "The agent has no identities" err)" = 2 ]

# A step without a filter is alone with its caches.
cat > Dockerfile <<'DOCKERFILE'
# syntax=docker/dockerfile:1-labs
FROM base AS one
RUN --security=insecure --mount=type=cache,target=/c mkdir /c/busy && sleep 1 && rmdir /c/busy && touch /one
FROM base AS other
RUN --mount=type=cache,target=/c mkdir /c/busy && sleep 1 && rmdir /c/busy && touch /other
FROM scratch
COPY --from=one /one /one
COPY --from=other /other /other
DOCKERFILE
"$WYTHE" build --allow security.insecure --build-context base=oci-layout://"$BASE" -t alone . 2>err
