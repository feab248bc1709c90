# A store may lie anywhere; what cannot work is said by doctor and by the build alike.
printf 'FROM base\nCOPY Dockerfile /f\nRUN cat /f > /g\nRUN --mount=from=base,target=/m,rw cat /g && touch /m/x\n' > Dockerfile
long=$(printf '%0200d' 0)
deep=$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long/$long
for name in 'back\slash' 'a:b,c d' "$(printf 'new\nline')" "$(printf 'not-\377-utf8')" "$long" "$deep"; do
  mkdir -p "$PWD/$name"
  export WYTHE_STORE="$PWD/$name/store"
  "$WYTHE" build --progress=quiet --build-context base=oci-layout://"$BASE" -t here .
  "$WYTHE" run here cat /f | cmp - Dockerfile
  "$WYTHE" doctor
  "$WYTHE" verify
done
