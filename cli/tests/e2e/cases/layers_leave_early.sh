# Layers of an image that is pushed leave while later steps run, and each is asked for once; the image is what it is
# without that. A build that fails leaves no name behind.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
. "$CASES/../counting.sh"
port=$("$CASES/../ports" 1)
counting_registry "$port"
to=127.0.0.1:$port
export SOURCE_DATE_EPOCH=1
mkdir context
echo one > context/a
# What a registry has of a repository shows in its list once a first blob has arrived; without that the step fails.
cat > context/arrived <<'X'
repository=$1 port=$2 tries=0
until wget -q -O - "http://127.0.0.1:$port/v2/_catalog" | grep -q "\"$repository\""; do
  tries=$((tries + 1))
  [ "$tries" -lt 300 ] || { echo "nothing has arrived"; exit 1; }
  sleep 0.1
done
X
printf 'FROM base\nCOPY a /a\nRUN mkdir /made && echo made > /made/file\nCOPY arrived /arrived\nARG REPOSITORY\nARG PORT\nRUN --network=host sh /arrived $REPOSITORY $PORT && echo last > /last\n' > context/Dockerfile
build() {
  repository=$1
  shift
  "$WYTHE" build --network host --allow network.host --build-context base=oci-layout://"$BASE" \
    --build-arg "REPOSITORY=$repository" --build-arg "PORT=$port" "$@" context
}
build early -t "$to/early:1" -t "$to/early:2" --push > early
since "$port"
# Each blob is asked for once and sent once.
grep -o 'HEAD /v2/early/blobs/sha256:[0-9a-f]*' log | sort > asked
[ -s asked ]
[ -z "$(uniq -d asked)" ]
grep -o 'PUT /v2/early/blobs/uploads/[^ ]*' log | sort | uniq -d > twice
[ ! -s twice ]
[ "$(grep -c 'PUT /v2/early/manifests/' log)" = 2 ]

# As without: the same build, pushed afterwards.
"$WYTHE" push "$to/early:1" "$to/late:1" | cmp - early

# By digest, too, and with zstd; all layers are there.
build zstd --no-cache -o "type=registry,name=$to/zstd,push-by-digest=true,compression=zstd" > zstd
"$WYTHE" --store other pull "$to/zstd@$(cat zstd)" > /dev/null
"$WYTHE" --store other pull "$to/early:2" | cmp - early
since "$port"
if grep -q 'PUT /v2/zstd/manifests/latest' log; then exit 1; fi

# What fails says so at once, and names nothing.
printf 'RUN false\n' >> context/Dockerfile
status=0
build failed --no-cache -t "$to/failed:1" --push > /dev/null 2> told || status=$?
[ "$status" = 1 ]
since "$port"
if grep -q 'PUT /v2/failed/manifests/' log; then exit 1; fi

# A registry that is not there costs no step and is told at the end.
sed -i '$d' context/Dockerfile
status=0
kill $pids
pids=
"$WYTHE" build --build-context base=oci-layout://"$BASE" -t "$to/gone:1" --push -f - context > /dev/null 2> told <<'X' || status=$?
FROM base
COPY a /b
RUN echo ran > /ran
X
cat told
[ "$status" = 3 ]
grep -q 'RUN echo ran' told
