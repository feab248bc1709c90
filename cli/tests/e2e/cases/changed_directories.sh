# A directory of a layer that somebody removed in part or replaced is made anew, or its step runs again.
export WYTHE_STORE="$PWD/store"
mkdir context
cat > context/Dockerfile <<'X'
FROM base
RUN mkdir -p /made/deep && echo kept > /made/deep/file && echo top > /top
RUN cat /made/deep/file /top > /both
X
build() { "$WYTHE" build --progress=plain -t it --build-context base=oci-layout://"$BASE" "$@" context; }
build
directories() { ls store/live | sort; }
directories > before
"$WYTHE" run it cat /both > right

# What was only read is used again.
echo 'RUN true' >> context/Dockerfile
build
"$WYTHE" run it true
directories > after
[ -z "$(comm -23 before after)" ]
[ "$(comm -13 before after | wc -l)" -le 2 ]

# Half of the directory of a step is gone, and that of the base is another.
step=$(dirname "$(ls -d store/live/*/made)")
rm -r "$step/made"
base=$(dirname "$(ls -d store/live/*/bin | head -n 1)")
mv "$base" aside
mkdir "$base"
echo 'RUN cat /both' >> context/Dockerfile
build 2> told
cat told
"$WYTHE" run it cat /both | cmp - right
"$WYTHE" run it cat /made/deep/file
"$WYTHE" verify --live
