# An owner that the user namespace does not map stays the owner in the image, whatever steps do
# around it. In steps a stand-in has the files, who is neither root nor anybody else.
mkdir -p context/app/sub
echo a > context/app/a
echo b > context/app/sub/b
ln -s a context/app/link
ln context/app/a context/app/hard

# owners NAME: lists what the layers of an image above the base say, the lowest first.
owners() {
  rm -rf saved && mkdir saved
  "$WYTHE" save "$1" > saved.tar
  tar -xf saved.tar -C saved
  for blob in $(grep -o '"Layers":\[[^]]*\]' saved/manifest.json | grep -o 'blobs/sha256/[0-9a-f]*' | tail -n +2); do
    { zcat "saved/$blob" 2>/dev/null || cat "saved/$blob"; } | tar -tv --numeric-owner | awk '{print $2, $6}'
  done > listed
}
# says LINE…: the lists hold these lines.
says() {
  for line; do
    grep -qFx "$line" listed || { echo "no '$line' in"; cat listed; exit 1; }
  done
}
base="--build-context base=oci-layout://$BASE"

cat > context/Dockerfile <<'D'
FROM base
COPY --chown=1001470000:0 app /app
RUN for f in /app /app/a /app/link /app/sub; do case $(stat -c %u:%g $f) in 0:*|65534:*) exit 1 ;; *:0) ;; *) exit 1 ;; esac; done
RUN touch /app/new; echo b >> /app/a; ln -sf sub /app/link2; chown -h $(stat -c %u:%g /app/link) /app/link2
RUN mv /app/sub /moved; sed -i s/b/c/ /moved/b; cp -a /app /copied
RUN chown root:root /app/a && chown 65534 /moved/b && chown -h 7 /app/link
D
"$WYTHE" build -q -t kept context $base
owners kept
[ "$(awk '{print $1}' listed | sort -u | tr '\n' ' ')" = '0/0 1001470000/0 65534/0 7/0 ' ]
says '1001470000/0 app/' '1001470000/0 app/a' '0/0 app/new' '1001470000/0 app/link2' '1001470000/0 moved/' \
  '65534/0 moved/b' '1001470000/0 copied/' '1001470000/0 copied/a' '1001470000/0 copied/link' '7/0 app/link'
"$WYTHE" run kept sh -c '[ "$(stat -c %u /moved/b)" != 0 ]'

# Two such owners, of a base image, and a working directory of a third.
"$WYTHE" build -q -o type=tar,dest=base.tar $base - <<'D'
FROM base
D
mkdir -p lower/home/ada lower/home/bob
echo 1 > lower/home/ada/f
echo 2 > lower/home/bob/f
mkfifo lower/home/bob/pipe
tar --owner=205001 --group=205513 -cf ada.tar -C lower home/ada
tar --owner=205002 --group=205513 -cf bob.tar -C lower home/bob
case $(uname -m) in aarch64) machine=arm64 ;; *) machine=amd64 ;; esac
diffs= layers=
for tar in base.tar ada.tar bob.tar; do
  diffs="$diffs,\"sha256:$(sha256sum < "$tar" | cut -d' ' -f1)\"" layers="$layers,\"$tar\""
done
printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
  "$machine" "${diffs#,}" > config.json
printf '[{"Config":"config.json","RepoTags":["joined:1"],"Layers":[%s]}]' "${layers#,}" > manifest.json
tar -cf image.tar config.json manifest.json base.tar ada.tar bob.tar
"$WYTHE" load -i image.tar
cat > context/Dockerfile <<'D'
FROM joined:1
RUN mv /home/ada/f /home/bob/g; echo 3 >> /home/bob/f; touch /home/ada/mine; touch -h /home/bob/pipe
USER 300000:300001
WORKDIR /home/eve
USER 0
RUN echo 4 > /home/eve/f; cd /; cp -a /home /copied; mv /home/ada /home/bob /tmp; tar -cf - copied | tar -xpf - -C /tmp
D
"$WYTHE" build -q -t joined context
owners joined
says '205001/205513 home/ada/' '205002/205513 home/bob/' '205001/205513 home/bob/g' '205002/205513 home/bob/f' \
  '205002/205513 home/bob/pipe' '0/0 home/ada/mine' '0/0 home/eve/f'
grep -q ' home/eve/$' listed
# Programs copy owners by number: each has one of its own.
for place in copied tmp tmp/copied; do
  says "205001/205513 $place/ada/" "205001/205513 $place/bob/g" "205002/205513 $place/bob/f" "0/0 $place/ada/mine"
done
says '300000/300001 copied/eve/'

# Directories with records are what their layers are.
"$WYTHE" verify --live > verified 2>&1 || { cat verified; exit 1; }

# The record is not the image's, and none that comes with a layer counts.
if grep -rqa 'user\.wythe' saved; then exit 1; fi
mkdir forged && echo 1 > forged/f
tar --format=posix --pax-option='SCHILY.xattr.user.wythe.owner:=205001:0' --owner=0 --group=0 -cf ada.tar -C forged f
diffs= layers=
for tar in base.tar ada.tar; do
  diffs="$diffs,\"sha256:$(sha256sum < "$tar" | cut -d' ' -f1)\"" layers="$layers,\"$tar\""
done
printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
  "$machine" "${diffs#,}" > config.json
printf '[{"Config":"config.json","RepoTags":["forged:1"],"Layers":[%s]}]' "${layers#,}" > manifest.json
tar -cf image.tar config.json manifest.json base.tar ada.tar
"$WYTHE" load -i image.tar
printf 'FROM forged:1\nRUN chown 60638 /f; echo 2 >> /f\n' > context/Dockerfile
"$WYTHE" build -q -t forged context
owners forged
says '60638/0 f'

# Whom no process can be is refused where the instruction stands, before anything runs.
refused() {
  printf 'FROM base\n%s\nRUN echo ran\n' "$1" > context/Dockerfile
  status=0
  "$WYTHE" build context $base > log 2>&1 || status=$?
  [ "$status" = 4 ]
  grep -q '^Dockerfile:3:1:' log
  grep -qF "$2" log
  grep -q /etc/subuid log
  if grep -q '^#2 [0-9.]* ran' log; then exit 1; fi
}
refused 'USER 1001470000' 'user 1001470000 is outside the ids that are mapped here (0-6553'
refused 'USER 5:1001470000' 'group 1001470000 is outside'
status=0
"$WYTHE" run -u 1001470000 kept true > log 2>&1 || status=$?
[ "$status" = 4 ]
grep -q 'user 1001470000 is outside .*(0-6553[56])' log
printf 'FROM base\nRUN --mount=type=cache,uid=205001,target=/c true\n' > context/Dockerfile
if "$WYTHE" build context $base > log 2>&1; then exit 1; fi
grep -q 'user 205001 is outside' log
