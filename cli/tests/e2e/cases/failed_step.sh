# A step that fails ends the build with exit code 1, its output, and its place in the Dockerfile.
mkdir context
printf 'FROM base\nRUN echo before it broke && exit 3\n' > context/Dockerfile
status=0
"$WYTHE" build --progress=quiet --build-context base=oci-layout://"$BASE" context 2> err || status=$?
cat err
[ "$status" = 1 ]
grep -q 'before it broke' err
grep -q 'Dockerfile:2' err
[ "$(grep -c 'did not complete successfully' err)" = 1 ]
grep -q '^reproduce: wythe build .* context --on-error=sh$' err

# A command where it failed sees what the step left, has its mounts, and shows no secret.
printf 'hunter2secret' > secret
cat > context/Dockerfile <<'X'
FROM base AS other
RUN mkdir /o
FROM base
ENV WORD=spoken
RUN --mount=type=secret,id=s --mount=type=cache,target=/c --mount=from=other,target=/b,rw echo left > /left && echo cached > /c/f && touch /b/o/bound && false
X
build() {
  "$WYTHE" build --build-context base=oci-layout://"$BASE" --secret id=s,src=secret "$@" context
}
status=0
look='cat /left /c/f /run/secrets/s; echo; ls /b/o; echo $WORD; exit 9'
build --progress=plain --on-error="$look" 2> err || status=$?
cat err
[ "$status" = 1 ]
for word in left cached bound spoken '\*\*\*'; do grep -q "^#.* $word\$" err; done
[ -z "$(grep hunter2 err)" ]
# What it does there is gone, and so is the step.
build --progress=plain --on-error='ls /left && rm /left' 2> err || true
build --progress=plain --on-error='ls /left' 2> err || true
grep -q '^#.* /left$' err

# On a terminal it has a terminal.
cat > shell <<'X'
stty size > /dev/null && echo on a termi''nal
cat /left
exit
X
command="'$WYTHE' build --build-context base=oci-layout://'$BASE' --secret id=s,src=secret --on-error=sh context"
script -qec "$command" /dev/null < shell > screen || true
cat screen
grep -q '^on a terminal' screen
grep -q '^left' screen

# What no layer can hold is found when the image is written, and told at the step that made it.
printf 'FROM base\nRUN true\nRUN touch /.wh.x\nRUN true\n' > context/Dockerfile
status=0
"$WYTHE" build --build-context base=oci-layout://"$BASE" context 2> log || status=$?
[ "$status" != 0 ]
grep -q '^Dockerfile:3:1:' log
grep -q '/\.wh\.x' log
