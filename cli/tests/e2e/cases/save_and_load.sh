# An archive's images are loaded under the names they have in it, or under another.
mkdir context
printf 'FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY a /b\n' > context/Dockerfile
echo a > context/a
"$WYTHE" build --target one,two -t saved-{target}:1 -t one=saved:extra -o type=docker,dest=both.tar context
"$WYTHE" load -i both.tar > digests
[ "$(wc -l < digests)" = 2 ]
"$WYTHE" images --format '{{.Repository}}:{{.Tag}}' > images
for name in saved-one:1 saved-two:1 saved:extra; do grep -qx "$name" images; done
"$WYTHE" rmi saved-one:1 saved-two:1 saved:extra
"$WYTHE" load -i both.tar --select saved-two:1 > digest
tail -n 1 digests | cmp - digest
"$WYTHE" inspect saved-two:1 > /dev/null
if "$WYTHE" inspect saved-one:1 2> /dev/null; then exit 1; fi
"$WYTHE" load -i both.tar --select saved-one:1 -t other
"$WYTHE" inspect other > /dev/null

"$WYTHE" build -o type=oci,dest=unnamed.tar context
if "$WYTHE" load -i unnamed.tar 2> refused; then exit 1; fi
grep -q -- '--tag' refused
"$WYTHE" load -i unnamed.tar -t now-named

# What is no image is kept like one, and keeps nobody from seeing the others.
mkdir -p artifact/blobs/sha256
blob() { sum=$(sha256sum < "$1" | cut -d' ' -f1) size=$(stat -c %s "$1"); mv "$1" "artifact/blobs/sha256/$sum"; }
printf '{}' > empty
blob empty
manifest=application/vnd.oci.image.manifest.v1+json empty=application/vnd.oci.empty.v1+json
printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"application/x","config":{"mediaType":"%s","digest":"sha256:%s","size":2},"layers":[{"mediaType":"%s","digest":"sha256:%s","size":2}]}' \
  "$manifest" "$empty" "$sum" "$empty" "$sum" > document
blob document
printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"sha256:%s","size":%s}]}' \
  "$manifest" "$sum" "$size" > artifact/index.json
printf '{"imageLayoutVersion":"1.0.0"}' > artifact/oci-layout
"$WYTHE" --store artifacts load -i artifact -t artifact:1
"$WYTHE" --store artifacts copy "oci:$BASE" base:1
"$WYTHE" --store artifacts images > listed
grep -q '^artifact  *1  *no image' listed
grep -q '^base  *1 ' listed
"$WYTHE" --store artifacts images --format=json | grep -q "\"digest\":\"sha256:$sum\""
status=0
"$WYTHE" --store artifacts run artifact:1 true 2> err || status=$?
[ "$status" = 2 ]
grep -q 'artifact:1 is not an image, but holds application/vnd.oci.empty' err

# What is no image is in no archive for docker, and nothing is written of it.
mkdir -p thing/blobs/sha256
blob() { digest=$(sha256sum "$1" | cut -d ' ' -f 1); size=$(wc -c < "$1"); cp "$1" "thing/blobs/sha256/$digest"; }
printf '{}' > empty
blob empty
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/x","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:%s","size":2},"layers":[]}' "$digest" > manifest
blob manifest
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}]}' "$digest" "$size" > thing/index.json
printf '{"imageLayoutVersion":"1.0.0"}' > thing/oci-layout
"$WYTHE" copy oci:thing thing > /dev/null
status=0
"$WYTHE" save thing > archive 2> err || status=$?
[ "$status" = 2 ]
[ ! -s archive ]
grep -q 'format oci' err
"$WYTHE" save --format oci thing | tar -t | grep -q index.json
