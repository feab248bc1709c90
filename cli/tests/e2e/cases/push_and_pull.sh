# An image that is pushed can be fetched by another tool and by another store.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
mkdir context
printf 'FROM base\nRUN echo made > /made\nCMD ["cat", "/made"]\n' > context/Dockerfile
image=$REGISTRY/e2e/push:1
"$WYTHE" build -t "$image" --push --build-context base=oci-layout://"$BASE" context
if command -v skopeo >/dev/null; then
  skopeo copy --src-tls-verify=false "docker://$image" oci:copied:1
fi
"$WYTHE" --store other pull "$image"
[ "$("$WYTHE" --store other run "$image")" = made ]

# A name with a registry in it is no name of the store unless somebody says so: whoever meant the registry is not told of a success.
fails "$WYTHE" copy "oci:$BASE" "$REGISTRY/e2e/copied:1" 2> told
grep -q "docker://$REGISTRY/e2e/copied:1 sends it" told
"$WYTHE" copy "oci:$BASE" "store://$REGISTRY/e2e/copied:1"
"$WYTHE" run "$REGISTRY/e2e/copied:1" true

# By its digest alone: the repository gets no tag, and the digest is what standard output says.
repository=$REGISTRY/e2e/by-digest
digest=$("$WYTHE" build -o "type=registry,name=$repository,push-by-digest=true" \
  --build-context base=oci-layout://"$BASE" context)
"$WYTHE" --store other pull "$repository@$digest"
if "$WYTHE" --store other pull "$repository:latest"; then exit 1; fi
status=0
"$WYTHE" build -o "type=registry,name=$repository:1,push-by-digest=true" \
  --build-context base=oci-layout://"$BASE" context || status=$?
[ "$status" = 2 ]

# A step runs on an image of which a store knows only where its layers are.
printf 'FROM %s\nRUN cat /made > /again\nCMD ["cat", "/again"]\n' "$image" > context/over.Dockerfile
"$WYTHE" --store third build -t over:1 -f context/over.Dockerfile context
[ "$("$WYTHE" --store third run over:1)" = made ]

# Layers of `docker save` are not compressed. A registry gets them as they are, or compressed where that is asked for, with the same files.
"$WYTHE" build -o type=docker,dest=plain.tar,compression=uncompressed -t plain:1 --build-context base=oci-layout://"$BASE" context
"$WYTHE" --store loaded load -i plain.tar
"$WYTHE" --store loaded inspect plain:1 --raw > raw
grep -q 'tar"' raw
fails grep -q 'gzip' raw
"$WYTHE" --store loaded push --compression gzip plain:1 "$REGISTRY/e2e/plain:1"
"$WYTHE" inspect "docker://$REGISTRY/e2e/plain:1" --raw > raw
fails grep -q 'tar"' raw
grep -q 'tar+gzip' raw || grep -q 'tar.gzip' raw
"$WYTHE" --store fourth pull "$REGISTRY/e2e/plain:1"
[ "$("$WYTHE" --store fourth run "$REGISTRY/e2e/plain:1")" = made ]
"$WYTHE" --store loaded push plain:1 "$REGISTRY/e2e/plain:as-it-is"
"$WYTHE" inspect "docker://$REGISTRY/e2e/plain:as-it-is" --raw > raw
fails grep -q 'gzip' raw
