# A step that fails ends those beside it, which say that they were stopped and are not to blame.
mkdir context
cat > context/Dockerfile <<'X'
FROM base AS a
RUN sleep 1; false
FROM base AS b
RUN trap '' HUP; sleep 61.729
FROM base AS c
COPY --from=a / /
COPY --from=b / /
X
# failing FLAG…: a build that fails at once.
failing() {
  start=$(date +%s) status=0
  "$WYTHE" build --progress=plain --build-context base=oci-layout://"$BASE" "$@" context 2> told || status=$?
  [ "$status" = 1 ]
  [ $(($(date +%s) - start)) -lt 20 ]
  grep -q '^#[0-9]* ERROR after' told
  grep -q '^#[0-9]* CANCELLED after' told
  [ "$(grep -c '^error: ' told)" = 1 ]
  grep -A9 '^error: ' told | grep -q 'sleep 1; false'
  if pgrep -f 'sleep 61.729'; then exit 1; fi
}
failing
failing --target a,b
failing --on-error 'echo looked'
grep -q looked told
"$WYTHE" build --progress=json --build-context base=oci-layout://"$BASE" context 2> events || true
grep -q '"event":"cancelled"' events
