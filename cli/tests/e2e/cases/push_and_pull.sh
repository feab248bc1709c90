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
