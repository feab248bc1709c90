# What a build makes can be a base; what cannot be in a layer is refused where it is made, with the
# name of the file.
mkdir context again
cat > context/Dockerfile <<'X'
FROM base
RUN mkdir /tmp/s; echo x > /tmp/s/$(printf '%0255d' 0); cd /tmp/s; for i in $(seq 250); do mkdir d; cd d; done
RUN rm /tmp/s/0*
RUN ls /tmp/s
X
build() { "$WYTHE" build --build-context base=oci-layout://"$BASE" "$@"; }
build -o type=oci,dest=made,tar=false context
printf 'FROM made\nRUN [ "$(ls /tmp/s)" = d ]\n' > again/Dockerfile
"$WYTHE" --store fresh build --build-context made=oci-layout://"$PWD/made" -o type=local,dest=out again
[ "$(ls out/tmp/s)" = d ]

# refused COMMAND: a step that runs it is, and the file is named
refused() {
  printf 'FROM base\nRUN %s\nRUN ls /tmp/s\n' "$1" > context/Dockerfile
  fails build -o type=oci,dest=no.tar context 2> err
  grep -q '/tmp/s/d/d/d/d' err
  grep -q 'deeper than 256 directories' err
  fails grep -q 'malformed' err
}
refused 'mkdir -p /tmp/s; cd /tmp/s; for i in $(seq 300); do mkdir d; cd d; done'
refused 'mkdir -p /tmp/s; cd /tmp/s; for i in $(seq 1500); do mkdir d; cd d; done'

mkdir -p context/deep
(cd context/deep && for i in $(seq 254); do mkdir d && cd d; done && echo x > f)
printf 'FROM scratch\nCOPY deep /\n' > context/Dockerfile
build -o type=local,dest=deep context
printf 'FROM scratch\nCOPY deep /e/e/\n' > context/Dockerfile
fails build -o type=local,dest=no context 2> err
grep -q '/e/e/d/d/d' err
grep -q 'deeper than 256 directories' err
