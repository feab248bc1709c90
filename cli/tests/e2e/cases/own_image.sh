# The image of wythe, built by wythe from the Dockerfile of the repository, in its three targets: the program runs in
# it, has a shell where there is to be one, and is kaniko's executor.
if ldd "$WYTHE" 2>/dev/null | grep -q '=>'; then skip "the program is not linked statically"; fi
architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
mkdir -p programs/$architecture
cp "$WYTHE" programs/$architecture/wythe
cp -r "$CASES/../packaging/image" image
"$WYTHE" --progress=plain build --target program,debug,executor -t 'wythe:{target}' --build-context programs=programs \
  --build-context busybox:musl=oci-layout://"$BASE" image
[ "$("$WYTHE" run wythe:program version)" = "$("$WYTHE" version)" ]
[ "$("$WYTHE" run --entrypoint /busybox/sh wythe:debug -c 'executor=/kaniko/executor; $executor version')" = "$("$WYTHE" version)" ]
"$WYTHE" run wythe:executor --help | grep -q -- --destination
# It builds, too, what needs no steps: in this container there are no namespaces in namespaces to be had.
"$WYTHE" run --entrypoint /busybox/sh wythe:debug -ec '
  echo x > x
  printf "FROM scratch\nCOPY x /\n" > Dockerfile
  wythe --store /tmp/store build -o type=oci,dest=/tmp/out.tar . && test -s /tmp/out.tar'
