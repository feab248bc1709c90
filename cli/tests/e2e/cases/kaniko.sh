# Command lines of kaniko: what they make, where it goes, and what is written of it.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
mkdir bin context
# kaniko's executor is this program under another name.
ln -s "$WYTHE" bin/executor
executor() { WYTHE_STORE=$PWD/$store bin/executor --progress=plain "$@" 2> log || { cat log; return 1; }; }
store=store
echo FROM base |
  "$WYTHE" --store base build --build-context base=oci-layout://"$BASE" -t "$REGISTRY/kaniko/base:1" --push -
printf 'FROM %s AS first\nARG WORD\nRUN echo $WORD > /made\nFROM first\nRUN date +%%N > /chance\nCMD ["cat", "/made"]\n' \
  "$REGISTRY/kaniko/base:1" > context/Dockerfile
ran() { grep -c '^#[0-9]* DONE ' log || true; }

# A destination, a cache, and files with the digest.
image=$REGISTRY/kaniko/app
flags="--context=dir://$PWD/context --dockerfile=Dockerfile --build-arg=WORD=one --cache --cache-repo=$image/cache"
executor $flags -d "$image:1" -d "$image:2" --snapshot-mode=redo --digest-file=digest \
  --image-name-with-digest-file=named --image-name-tag-with-digest-file=tagged > out
[ "$(ran)" = 2 ]
grep -q 'snapshot-mode means nothing here' log
digest=$(cat digest)
[ "$digest" = "$(cat out)" ]
[ "$(cat named)" = "$image@$digest
$image@$digest" ]
[ "$(cat tagged)" = "$image:1@$digest
$image:2@$digest" ]
"$WYTHE" --store other pull "$image:2"
[ "$("$WYTHE" --store other run "$image:2")" = one ]
# A machine without a store finds all of it in the cache, and nothing is pushed that was not asked for.
store=second
executor $flags --no-push --tar-path=image.tar -d app:1 > out
[ "$(ran)" = 0 ]
"$WYTHE" --store loaded load --input image.tar
[ "$("$WYTHE" --store loaded run app:1)" = one ]
# As a layout, with no time in it, the same on every machine.
for store in third fourth; do
  executor --context context --build-arg WORD=two --no-push --oci-layout-path "$store.layout" --target first \
    --reproducible --digest-file "$store.digest"
done
cmp third.digest fourth.digest
grep -q "$(cat third.digest)" third.layout/index.json

# Archives: a file, standard input, and a part of one.
mkdir -p tree/app
cp context/Dockerfile tree/app/
tar -C tree -czf context.tar.gz .
store=fifth
executor --context tar://"$PWD/context.tar.gz" --context-sub-path app --build-arg WORD=three --no-push -d archive:1
[ "$("$WYTHE" --store fifth run archive:1)" = three ]
tar -C context -c . | executor --context=tar://stdin --build-arg WORD=four --no-push --destination=stdin:1
[ "$("$WYTHE" --store fifth run stdin:1)" = four ]

# A registry may be spoken to without TLS, and what cannot be done is refused by name.
executor --context context --destination "$image:3" --insecure --insecure-pull --skip-tls-verify -v error
fails executor --context context --destination "$image:4" --push-ignore-immutable-tag-errors
grep -q -- '--push-ignore-immutable-tag-errors' log
# What is pulled comes from a mirror, and from nowhere else where that is said.
printf 'FROM r.invalid/kaniko/base:1\nRUN echo mirrored > /made\nCMD ["cat", "/made"]\n' > mirrored
store=sixth
executor --context context --dockerfile mirrored --registry-map "r.invalid=http://$REGISTRY" \
  --skip-default-registry-fallback --no-push --destination mirrored:1
[ "$("$WYTHE" --store sixth run mirrored:1)" = mirrored ]
# Layers that no step needed stay there, and are fetched from there by who was told nothing of mirrors.
cp mirrored context/mirrored
printf 'FROM r.invalid/kaniko/base:1\nCOPY mirrored /copied\nCMD ["cat", "/copied"]\n' > copied
store=seventh
executor --context context --dockerfile copied --registry-map "r.invalid=http://$REGISTRY" --no-push --destination copied:1
"$WYTHE" --store seventh run copied:1 | cmp - context/mirrored

fails executor --context gs://bucket/context.tar.gz --no-push
grep -q 'gs://' log
fails executor --context context
grep -q -- '--destination' log
[ "$(bin/executor version)" = "$("$WYTHE" version)" ]
