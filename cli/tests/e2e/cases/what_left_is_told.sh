# The id and the digests that are told are those of the image that left, not of the one before its
# times were rewritten.
mkdir context
printf 'FROM scratch\nCOPY a /a\n' > context/Dockerfile
echo a > context/a
build() {
  "$WYTHE" build --build-arg SOURCE_DATE_EPOCH=1 --iidfile id --metadata-file told "$@" context > digest
}

build -o type=oci,dest=layout,tar=false,rewrite-timestamp=true
manifest=layout/blobs/sha256/$(cut -d: -f2 digest)
grep -q "\"digest\":\"$(cat id)\"" "$manifest"
grep -q "\"containerimage.digest\": \"$(cat digest)\"" told
grep -q "\"containerimage.config.digest\": \"$(cat id)\"" told

build -t rewritten -o type=image,rewrite-timestamp=true
"$WYTHE" inspect --raw manifest rewritten > manifest
[ "sha256:$(sha256sum < manifest | cut -d' ' -f1)" = "$(cat digest)" ]
grep -q "\"digest\":\"$(cat id)\"" manifest
