# Root of a step is not who called, what is written for the caller is the caller's, and no layer has
# files of ids that the program keeps for itself.
mkdir context
echo secret > context/private && chmod 600 context/private
mkdir bin
cat > bin/docker-credential-whoami <<'S'
#!/bin/sh
{ id -u; stat -c %u "$0"; cat "$WHO/context/private"; } > "$WHO/helper"
echo "credentials not found"; exit 1
S
chmod 755 bin/docker-credential-whoami
cat > context/Dockerfile <<'D'
FROM base
COPY private /private
RUN --mount=type=cache,target=/c touch /made-by-a-step /c/f && stat -c %u /made-by-a-step /c /c/f / > /owners
RUN if chown 2147483648 /private; then exit 1; fi
RUN if chmod $(stat -c %a /proc/meminfo) /proc/meminfo; then exit 1; fi
D
base="--build-context base=oci-layout://$BASE"
"$WYTHE" build -q -o out --iidfile iid context $base
"$WYTHE" build -q -t ids context $base
[ "$(cat out/private)" = secret ]
[ "$(tr '\n' ' ' < out/owners)" = '0 0 0 0 ' ]
for file in out out/made-by-a-step iid; do
  [ "$(stat -c %u:%g $file)" = "$(id -u):$(id -g)" ] || { ls -ln $file; exit 1; }
done

# live NAME [TEST…]: finds files in the directories of layers, as far as the caller may look.
live() { find "$WYTHE_STORE/live" -name "$@" 2> /dev/null || true; }

# On the disk the files of steps are root's of the machine only where there are no other ids.
"$WYTHE" doctor > doctor || true
case $(id -u):$(grep '^steps users ' doctor) in
0:'steps users 0-'*) ;;
*)
  [ -n "$(live made-by-a-step)" ]
  [ -z "$(live made-by-a-step -uid 0)" ]
  ;;
esac

# The standard input of a command can be opened once more, by whoever it runs as.
[ "$(echo fed | "$WYTHE" run -i ids cat /dev/stdin)" = fed ]
[ "$(echo fed | "$WYTHE" run -i -u 7 ids cat /dev/stdin)" = fed ]

# Programs of the machine run as the caller.
if [ -n "$REGISTRY" ]; then
  mkdir config
  printf '{"credsStore":"whoami"}' > config/config.json
  echo "FROM $REGISTRY/ids/absent" > context/Dockerfile
  if WHO=$PWD PATH=$PWD/bin:$PATH DOCKER_CONFIG=$PWD/config "$WYTHE" build context 2> log; then exit 1; fi
  if [ "$(id -u)" = 0 ]; then
    [ "$(tr '\n' ' ' < helper)" = '0 0 secret ' ] || { cat helper log; exit 1; }
  fi
fi
rm -rf context bin out

# Whom an image names by the numbers that are kept for the caller owns nothing but in the image.
printf 'FROM base\nCOPY --chown=2147483648:2147483649 --chmod=4755 f /kept-for-the-caller\n\
RUN stat -c %%u /kept-for-the-caller > /owner; touch -h /kept-for-the-caller\n' > Dockerfile
echo f > f
"$WYTHE" build -q -t kept . $base
"$WYTHE" save kept > saved.tar
mkdir saved && tar -xf saved.tar -C saved
for blob in saved/blobs/sha256/*; do tar -tv --numeric-owner -f "$blob" 2>/dev/null || true; done > listed
grep -q '2147483648/2147483649 .*kept-for-the-caller' listed || { cat listed; exit 1; }
if [ "$(id -u)" = 0 ] && ! grep -q '^steps users 0-' doctor; then
  [ -n "$(live kept-for-the-caller)" ]
  [ -z "$(live kept-for-the-caller -uid 0)" ]
fi
