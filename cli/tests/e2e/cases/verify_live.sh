# What steps run on is compared with what their layers are.
export WYTHE_STORE="$PWD/store"
mkdir context
cat > context/Dockerfile <<'X'
FROM base AS other
RUN mkdir /o && echo 1 > /o/f && ln /o/f /o/g && ln -s f /o/l && mknod /o/n c 1 3 && mkfifo /o/p
FROM base
COPY --chown=1001:7 Dockerfile /c/
RUN chown app:app /c && echo unique-content > /u && touch -d @5 /u && rm /bin/false && setfattr -n user.k -v v /u || true
RUN --mount=from=other,target=/m sed -n 1p /etc/passwd && rm -rf /c && mkdir /c && echo back > /c/Dockerfile
RUN cat /u
X
"$WYTHE" build -t live --build-context base=oci-layout://"$BASE" context
"$WYTHE" run live cat /c/Dockerfile
"$WYTHE" verify --live

printf EVIL >> "$(ls store/live/*/u)"
"$WYTHE" verify
status=0
"$WYTHE" verify --live > found 2> err || status=$?
cat found
[ "$status" = 6 ]
[ "$(wc -l < found)" = 1 ]
grep -q '^live/.* has been changed at /u$' found
grep -q -- '--repair --live' err

"$WYTHE" verify --repair --live > told
cat told
grep -q '^unpacked anew what live/.* should be$' told
"$WYTHE" verify --live
"$WYTHE" run live cat /u | grep -qx unique-content
"$WYTHE" prune
"$WYTHE" verify --live
