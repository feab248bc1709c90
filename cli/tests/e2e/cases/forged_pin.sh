# A name with a digest stands for what has that digest, whatever an archive says of itself.
mkdir context unpacked
printf 'FROM scratch\nCOPY a /\n' > context/Dockerfile
echo a > context/a
"$WYTHE" build -t forged:1 -o type=docker,dest=right.tar context > digest
"$WYTHE" load -i right.tar 2> remarks
[ ! -s remarks ]
pin=docker.io/library/forged@sha256:$(printf 'a%.0s' $(seq 64))
tar -xf right.tar -C unpacked

# forge NAME FILE: an archive that calls its image NAME.
forge() {
  rm -rf made && cp -r unpacked made
  for list in manifest.json index.json; do
    sed "s|\"docker.io/library/forged:1\"|\"$1\"|; s|\"forged:1\"|\"$1\"|" "unpacked/$list" > "made/$list"
  done
  tar -C made -cf "$2" .
}
refused() {
  status=0
  "$@" > out 2> refused || status=$?
  [ "$status" = 2 ]
}
forge "$pin" by-name.tar
forge "docker.io/library/forged:1@${pin#*@}" by-tag.tar
for archive in by-name.tar by-tag.tar; do
  refused "$WYTHE" load -i "$archive"
  grep -q "$pin\|${pin#*@}" refused
done
# What older versions of docker write has no index.json.
rm -r made && cp -r unpacked made && rm made/index.json made/oci-layout
sed "s|\"forged:1\"|\"$pin\"|" unpacked/manifest.json > made/manifest.json
tar -C made -cf old.tar .
refused "$WYTHE" load -i old.tar
# A name beside the right one does not come in with it.
sed "s|\"org.opencontainers.image.ref.name\":\"1\"|\"org.opencontainers.image.ref.name\":\"1@${pin#*@}\"|" \
  unpacked/index.json > made/index.json
cp unpacked/oci-layout made/
refused "$WYTHE" load -i made
if "$WYTHE" copy "oci:made:1@${pin#*@}" copied 2> /dev/null; then exit 1; fi
if "$WYTHE" load -i by-name.tar --select "$pin" -t copied 2> /dev/null; then exit 1; fi
if "$WYTHE" inspect "$pin" 2> /dev/null; then exit 1; fi
printf 'FROM base\n' > context/Dockerfile
if "$WYTHE" build --build-context "base=oci-layout://made@${pin#*@}" context 2> /dev/null; then exit 1; fi
refused "$WYTHE" build --build-context base=oci-layout://made@sha512:00 context
# Nobody else gives such a name either.
refused "$WYTHE" tag forged:1 "$pin"
refused "$WYTHE" load -i right.tar -t "$pin"
refused "$WYTHE" load -i right.tar -t "forged:1@${pin#*@}"
"$WYTHE" load -i right.tar -t "forged@$(cat digest)"
for door in "tag forged:1" "load -i right.tar -t" "copy forged:1"; do
  # shellcheck disable=SC2086
  refused "$WYTHE" $door "${pin#*@}"
done
refused "$WYTHE" copy forged:1 "store://$pin"
refused "$WYTHE" copy forged:1 "docker://127.0.0.1:1/${pin##*/}"
refused "$WYTHE" build -t "$pin" context
refused "$WYTHE" build -o "type=image,name=$pin" context

# A name that stood for another image is told of.
printf 'FROM scratch\nCOPY a /b\n' > context/Dockerfile
"$WYTHE" build -t forged:1 -o type=docker,dest=other.tar context
"$WYTHE" load -i other.tar 2> remarks
grep -q '^note: docker.io/library/forged:1 stood for sha256:' remarks
"$WYTHE" load -i other.tar 2> remarks
[ ! -s remarks ]
