# Steps that have one id, and see others that are emulated, make what steps with many ids make: the digests are equal.
mkdir -p context/files
echo one > context/files/one
ln -s one context/files/link
cat > context/Dockerfile <<'X'
FROM base AS made
COPY --chown=11:12 files /src
RUN mkdir -p /d/e && cp -a /src /d/src && ln -s x /d/l && ln /src/one /d/hard && mkfifo /d/pipe \
  && chown 5:6 /d/e /d/hard && chmod 4750 /d/hard && chown -h 7:8 /d/l && chown 9:9 /d/pipe
RUN mknod /d/null c 1 3 && chown 7:8 /d/null && test "$(stat -c %u:%g /d/null)" = 7:8 && test -c /d/null
RUN test "$(stat -c %u:%g /src/link /d/hard /d/l /d/pipe /d/src | tr '\n' ' ')" = '11:12 5:6 7:8 9:9 11:12 '
RUN mkdir /shared && chown 0:50 /shared && chmod 2775 /shared && touch /shared/f && mkdir -p /shared/a/b && ln -s f /shared/l
# What is left as it was is no change, and what is touched keeps its owner.
RUN chmod 700 /d/e && mv /d/pipe /d/queue && mv /d/l /d/k && rm /d/src/link && echo more >> /src/one && touch -h /d/k
RUN chown -R 20:21 /d && chown -R :22 /src && chown 0:0 /d/null
RUN --mount=type=cache,target=/cache,id=owners,uid=1000,gid=1000 stat -c %u:%g /cache > /cached \
  && touch /cache/f && chown 3:4 /cache/f && cp -a /cache/f /from-cache
RUN mkdir -p /home/app /srv/app && chown app:app /home/app && chown app /srv/app && chmod 700 /srv/app
WORKDIR /home/app/work
USER app
RUN id > /tmp/who && echo mine > /home/app/f && mkdir /home/app/d && ln -s f /home/app/l && mkfifo /srv/app/p \
  && umask 077 && echo secret > /srv/app/secret && cp /srv/app/secret /home/app/copy && mv /srv/app/secret /home/app/d
RUN if touch /etc/mine 2> /dev/null; then exit 1; fi; if chown root /home/app/f 2> /dev/null; then exit 1; fi; test ! -w /etc
RUN stat -c '%U %a' /home/app/f /home/app/d/secret /home/app/l > /tmp/seen && (sleep 0.2; id -u > /home/app/late) & sleep 0.5
USER 4242:77
RUN id -u > /tmp/nobody && id -g >> /tmp/nobody
USER root
RUN stat -c '%u %g' /tmp/nobody > /tmp/whose && rm -r /srv/app && cat /home/app/d/secret > /tmp/read

FROM base AS last
COPY --from=made /home /home
COPY --from=made --chown=1:1 /d /d
RUN stat -c '%n %u:%g %a' /home/app/* /d/* > /list
X
built() {
  "$WYTHE" --store "$1" build --isolation="$1" --progress=plain --build-context base=oci-layout://"$BASE" \
    --build-arg SOURCE_DATE_EPOCH=1700000000 --target "$2" \
    -o type=oci,dest="$1-$2",tar=false,rewrite-timestamp=true context 2> "$1-$2.log" || { cat "$1-$2.log" >&2; exit 1; }
  grep -o 'sha256:[0-9a-f]*' "$1-$2/index.json" | head -n 1
}
for target in made last; do
  expected=$(built userns "$target")
  found=$(built single-id "$target")
  [ "$expected" = "$found" ] || { cat single-id-"$target".log; exit 1; }
done
head -n 1 single-id-made.log | grep -q '^isolation single-id: '
head -n 1 userns-made.log | grep -q '^isolation userns: '
# A store of one id is looked after by whoever made it.
"$WYTHE" --store single-id verify --live > /dev/null
"$WYTHE" --store single-id du > /dev/null
# What would see one user only is refused by its name.
status=0
printf 'FROM base\nRUN --security=insecure true\n' |
  "$WYTHE" --store single-id build --isolation=single-id --allow=security.insecure \
    --build-context base=oci-layout://"$BASE" - 2> refused || status=$?
[ "$status" = 4 ] || [ "$status" = 1 ]
grep -q -e '--security=insecure' refused
grep -q 'emulated' refused
"$WYTHE" --store single-id prune --all > /dev/null
[ -z "$(ls single-id/live 2> /dev/null)" ]
