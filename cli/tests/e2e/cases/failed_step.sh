# A step that fails ends the build with exit code 1, its output, and its place in the Dockerfile.
mkdir context
printf 'FROM base\nRUN echo before it broke && exit 3\n' > context/Dockerfile
status=0
"$WYTHE" build --progress=quiet --build-context base=oci-layout://"$BASE" context 2> err || status=$?
cat err
[ "$status" = 1 ]
grep -q 'before it broke' err
grep -q 'Dockerfile:2' err
