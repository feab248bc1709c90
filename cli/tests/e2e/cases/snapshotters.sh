# What steps make is the same whether the kernel stacks layers or all files are copied: the digests are equal.
mkdir -p context/files/deep
echo one > context/files/one
echo two > context/files/deep/two
printf 'secret words' > secret
cat > context/Dockerfile <<'X'
FROM base AS made
COPY files /src
RUN echo ran > /ran && mkdir -p /d/e && ln -s x /d/l && ln /ran /d/hard && chown 5:6 /d/e && chmod 4750 /d/hard
RUN cp /src/one /d/copy && chmod 600 /src/deep/two && touch -t 200001010000 /d/old
# Made anew under the same name: nothing of the old one shows through.
RUN rm -rf /src && mkdir /src && echo new > /src/new
RUN mv /d /moved && rm /ran && mkfifo /moved/pipe
RUN mknod /moved/null c 1 3 && chown 7:8 /moved/null
# What is left as it was is no change.
RUN cat /moved/copy && cp -a /moved/old /x && mv /x /moved/old
RUN --mount=type=cache,target=/cache,id=snapshotters echo kept >> /cache/f && cat /cache/f > /kept
RUN --mount=type=bind,target=/context --mount=type=tmpfs,target=/scratch --mount=type=secret,id=words \
  cat /context/files/one > /scratch/one && cp /scratch/one /from-context && test -s /run/secrets/words
RUN rm -rf /etc/group && : > /etc/new
RUN true
WORKDIR /home/app/work
USER app
RUN id > /tmp/who && test ! -w /etc
RUN <<EOF
echo "a script" > /tmp/script
EOF

FROM base AS beside
RUN echo beside > /beside
RUN --mount=type=bind,from=made,source=/moved,target=/mnt,rw cp /mnt/copy /copied && echo lost > /mnt/lost

FROM base AS last
COPY --from=made /moved /moved
COPY --from=beside / /all
RUN ls -R /all > /list && test ! -e /moved/lost
X
built() {
  "$WYTHE" --store "$1" build --snapshotter="$1" --progress=plain --secret id=words,src=secret \
    --build-context base=oci-layout://"$BASE" --build-arg SOURCE_DATE_EPOCH=1700000000 \
    --target "$2" -o type=oci,dest="$1-$2",tar=false,rewrite-timestamp=true context 2> "$1-$2.log"
  grep -o 'sha256:[0-9a-f]*' "$1-$2/index.json" | head -n 1
}
for target in made last; do
  expected=$(built overlayfs "$target")
  found=$(built native "$target")
  [ "$expected" = "$found" ]
done
# The steps of a stage take the directory over from each other, whatever comes between them.
cat > taken-over <<'X'
FROM base
RUN stat -c %i /bin/busybox > /first
RUN true
RUN true
RUN test "$(stat -c %i /bin/busybox)" = "$(cat /first)"
COPY files /files
RUN test "$(stat -c %i /bin/busybox)" = "$(cat /first)" && rm -r /files
RUN test "$(stat -c %i /bin/busybox)" = "$(cat /first)"
X
"$WYTHE" --store native build --snapshotter=native --no-cache --build-context base=oci-layout://"$BASE" -f taken-over context
# Of what a step mounts only that is copied which it asks for, through links and with other names of its files.
cat > mounted <<'X'
FROM base AS big
RUN mkdir -p /x/deep && echo small > /x/deep/f && chmod 2750 /x && chown 3:4 /x && ln /x/deep/f /other && ln -s x /link
RUN dd if=/dev/zero of=/big bs=1M count=64 2> /dev/null
FROM base
RUN --mount=from=big,source=/link,target=/m [ "$(stat -c %a:%u:%g /m) $(cat /m/deep/f)" = "2750:3:4 small" ]
RUN --mount=from=big,source=/link/deep/f,target=/f [ "$(cat /f)" = small ]
RUN --mount=from=big,source=/,target=/all [ "$(stat -c %s /all/big) $(stat -c %h /all/other)" = "67108864 2" ]
RUN --mount=from=big,source=/x,target=/m,rw echo lost > /m/deep/f
RUN --mount=from=big,source=x/deep,target=/m [ "$(cat /m/f)" = small ] && du -sk /m > /size
X
"$WYTHE" --store native build --snapshotter=native --build-context base=oci-layout://"$BASE" -f mounted context
if sed 's|/link,|/linked,|' mounted | "$WYTHE" --store native build --snapshotter=native --build-context base=oci-layout://"$BASE" \
  -f - context 2> missing; then exit 1; fi
grep -q '/linked' missing
# Nothing of the directories that the steps ran in is left.
[ -z "$(ls native/work 2> /dev/null)" ]
# As in the other way, a step that failed can be looked at.
status=0
printf 'FROM base\nRUN echo left > /left && false\n' |
  "$WYTHE" --store native build --snapshotter=native --progress=plain --on-error='cat /left' \
    --build-context base=oci-layout://"$BASE" - 2> failed || status=$?
[ "$status" = 1 ]
grep -q ' left$' failed
