# A chain of layers may hold one layer more than once: an overlay mount takes no directory twice.
mkdir context
printf 'FROM base\nCOPY Dockerfile /f\nRUN rm /f\nCOPY Dockerfile /f\nRUN rm /f\nCOPY Dockerfile /f\nRUN cat /f && touch /after\n' \
  > context/Dockerfile
"$WYTHE" build -q -t repeated context --build-context base=oci-layout://"$BASE"
"$WYTHE" run repeated sh -c 'ls /f /after'

# image NAME TAR…: loads an image of these layers.
image() {
  name=$1 diffs='' layers=''
  shift
  for tar; do
    diffs="$diffs,\"sha256:$(sha256sum < "$tar" | cut -d' ' -f1)\"" layers="$layers,\"$tar\""
  done
  case $(uname -m) in aarch64) machine=arm64 ;; *) machine=amd64 ;; esac
  printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
    "$machine" "${diffs#,}" > config.json
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":[%s]}]' "$name" "${layers#,}" > manifest.json
  tar -cf image.tar config.json manifest.json "$@"
  "$WYTHE" load -i image.tar
}
printf 'FROM base\n' > context/base
"$WYTHE" build -q -f context/base -o type=tar,dest=base.tar --build-context base=oci-layout://"$BASE" context
mkdir -p a b/etc
echo in the layers > a/f
echo 1 > b/etc/one
tar --owner=0 --group=0 -cf a.tar -C a f
: > a/.wh.f
tar --owner=0 --group=0 -cf no.tar -C a .wh.f
tar --owner=0 --group=0 -cf one.tar -C b etc/one
mv b/etc/one b/etc/two
tar --owner=0 --group=0 -cf two.tar -C b etc/two
head -c 1024 /dev/zero > empty.tar

# everywhere NAME COMMAND: the command succeeds in a step, on a mount of the image, and with run.
everywhere() {
  printf 'FROM %s\nRUN %s && touch /etc/more\nRUN %s\n' "$1" "$2" "$2" > context/Dockerfile
  "$WYTHE" build -q -t after context
  "$WYTHE" run "$1" sh -c "$2"
  printf 'FROM base\nRUN --mount=from=%s,target=/m chroot /m sh -c "%s"\nRUN --mount=from=%s,target=/m,rw touch /m/x && chroot /m sh -c "%s"\n' \
    "$1" "$2" "$1" "$2" > context/Dockerfile
  "$WYTHE" build -q context --build-context base=oci-layout://"$BASE"
}
image aba:1 base.tar a.tar no.tar a.tar
everywhere aba:1 'cat /f'
image ababa:1 base.tar a.tar no.tar a.tar no.tar a.tar no.tar
everywhere ababa:1 'test ! -e /f'
image aa:1 base.tar a.tar a.tar
everywhere aa:1 'cat /f'
image empty:1 base.tar empty.tar a.tar empty.tar empty.tar
everywhere empty:1 'cat /f'
image etc:1 base.tar one.tar two.tar one.tar two.tar
everywhere etc:1 'cat /etc/one /etc/two /etc/passwd'
image base:2 base.tar base.tar
everywhere base:2 'cat /etc/passwd'

# A step that fails is looked at over the same layers.
printf 'FROM aba:1\nRUN false\n' > context/Dockerfile
if "$WYTHE" build --on-error='cat /f' context > log 2>&1; then exit 1; fi
if grep "cannot run anything" log; then exit 1; fi
grep "in the layers" log
