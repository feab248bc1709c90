# Several targets are built in one go: what they share once, and each to its own names and places.
mkdir context
cat > context/Dockerfile <<'X'
FROM base AS shared
RUN cat /proc/sys/kernel/random/uuid > /stamp

FROM shared AS one
RUN echo one > /which

FROM shared AS two
RUN echo two > /which

FROM scratch AS files
COPY --from=one /which /one
COPY --from=two /which /two
X
build() { "$WYTHE" build --build-context base=oci-layout://"$BASE" "$@" context; }

build --target one,two -t one=targets-one -t two=targets-two -t {target}:all \
  --iidfile ids --metadata-file metadata > digests
[ "$(wc -l < digests)" = 2 ]
[ "$(wc -l < ids)" = 2 ]
[ "$("$WYTHE" run targets-one cat /which)" = one ]
[ "$("$WYTHE" run two:all cat /which)" = two ]
[ "$("$WYTHE" run targets-one cat /stamp)" = "$("$WYTHE" run targets-two cat /stamp)" ]
"$WYTHE" images | grep -q targets-one
grep -q '"one": {' metadata
grep -q '"image.name": "docker.io/library/targets-two:latest,docker.io/library/two:all"' metadata

# One target alone gives the same images.
build --target two -t alone --iidfile id > /dev/null
[ "$(cat id)" = "$(tail -n 1 ids)" ]

# Files of each target lie in a directory of its name, unless the destination says where.
build --target files --target one -o out
[ "$(cat out/files/two)" = two ]
[ "$(cat out/one/which)" = one ]
build --target files,one -o 'type=tar,dest={target}.tar'
tar -tf files.tar | grep -qx one
tar -tf one.tar | grep -qx which
build --target files,one -o type=local,dest=only,target=files -o type=oci,dest=one.oci,target=one
[ "$(cat only/one)" = one ]

# An archive holds all of them.
build --target one,files -t one=targets-one:1 -o type=oci,dest=both.tar
tar -xOf both.tar index.json > index
grep -q '"org.opencontainers.image.ref.name":"files"' index
grep -q 'docker.io/library/targets-one:1' index
build --target files,shared -o type=docker,dest=docker.tar > /dev/null
[ "$(tar -xOf docker.tar manifest.json | grep -o '"Config"' | wc -l)" = 2 ]

# Each is pushed under its names.
if [ -n "$REGISTRY" ]; then
  build --target one,two -t "$REGISTRY/targets/{target}:1" --push > pushed
  "$WYTHE" rmi "$REGISTRY/targets/one:1" "$REGISTRY/targets/two:1"
  "$WYTHE" pull "$REGISTRY/targets/two:1"
  [ "$("$WYTHE" run "$REGISTRY/targets/two:1" cat /which)" = two ]
  "$WYTHE" inspect --raw manifest "$REGISTRY/targets/two:1" > manifest
  [ "sha256:$(sha256sum < manifest | cut -d' ' -f1)" = "$(tail -n 1 pushed)" ]
fi

# Platforms are below targets.
printf 'FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY a /\n' > context/plain
echo a > context/a
build -f context/plain --target one,two --platform linux/amd64,linux/arm64 -o platforms
[ "$(cat platforms/two/linux_arm64/a)" = a ]

# What has no meaning is refused before anything is built.
if build --target one,two -t same 2> refused; then exit 1; fi
grep -q 'same would name the images of one and two' refused
if build --target one,three 2> refused; then exit 1; fi
grep -q 'target stage "three" could not be found' refused
