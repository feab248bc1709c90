# What decides whether a step runs again is all that it could see, and nothing else.
mkdir -p context/dir
echo a > context/dir/a
chmod 755 context/dir
build() { "$WYTHE" build --progress=plain --build-context base=oci-layout://"$BASE" "$@" context > log 2>&1 || { cat log; return 1; }; }
ran() { grep -q 'RAN it' log || { cat log; exit 1; }; }
stands() { if grep -q 'RAN it' log; then cat log; exit 1; fi; }

# Which of two optional secrets is there.
cat > context/Dockerfile <<'D'
FROM base
RUN --mount=type=secret,id=one --mount=type=secret,id=two echo R""AN it && touch /seen
D
echo 1 > one; echo 2 > two
build --secret id=one,src=one
ran
build --secret id=one,src=one
stands
build --secret id=two,src=two
ran
build
ran
build --secret id=one,src=one --secret id=two,src=two
ran
echo 3 > two
build --secret id=one,src=one --secret id=two,src=two
stands

# A required secret is there whenever the step runs: its result stands without it, as with BuildKit.
cat > context/Dockerfile <<'D'
FROM base
RUN --mount=type=secret,id=one,required echo R""AN it && cat /run/secrets/one > /dev/null
D
build --secret id=one,src=one
ran
build
stands

# The mode of a directory that is mounted.
cat > context/Dockerfile <<'D'
FROM base
RUN --mount=source=dir,target=/m echo R""AN it && stat -c %a /m > /mode
D
build
ran
chmod 700 context/dir
build
ran
build
stands

# How the name of a base is spelt.
cat > context/Dockerfile <<'D'
FROM base
RUN echo R""AN it spelt
D
build
ran
sed -i 's/base/other/' context/Dockerfile
"$WYTHE" build --progress=plain --build-context other=oci-layout://"$BASE" context > log 2>&1
stands
