# Layers of which nodes fetch single files: SOCI indexes and zstd:chunked, as an independent reader finds them.
command -v skopeo > /dev/null || skip 'skopeo is not here'
read_layers() { python3 "$CASES/../lazy_layers.py" "$@"; }
noise() { openssl enc -aes-128-ctr -nosalt -pass "pass:$1" -pbkdf2 < /dev/zero 2> unread | head -c "$2"; }
mkdir -p base context/d
noise base 11000000 > base/noise
seq 700000 > base/numbers
printf 'FROM scratch\nCOPY noise numbers /base/\n' > base/Dockerfile
noise own 11000000 > context/noise
seq 2000000 > context/d/numbers
: > context/empty
echo short > 'context/d/a file'
ln -s numbers context/d/link
printf 'FROM base\nCOPY . /own\n' > context/Dockerfile

export SOURCE_DATE_EPOCH=1700000000

# A base that somebody else compressed, with blocks that begin within bytes.
"$WYTHE" build -q -o type=oci,dest=plain,tar=false,compression=uncompressed base
skopeo copy -q oci:plain oci:foreign:1
from="--build-context base=oci-layout://$PWD/foreign:1"

# shellcheck disable=SC2086
"$WYTHE" build -q --soci $from -o type=oci,dest=layout,tar=false context > digest
read_layers soci layout | tee read
[ "$(grep -c zTOC read)" = 2 ]
grep -q ' 0 from within' read
grep -q ' [1-9][0-9]* from within' read
# The layers are those that leave without it, and another store and another number of processors make the same.
# shellcheck disable=SC2086
"$WYTHE" build -q $from -o type=oci,dest=without,tar=false context
long_blobs() { (cd "$1/blobs/sha256" && find . -size +9M | sort) ; }
[ "$(long_blobs layout)" = "$(long_blobs without)" ]
# shellcheck disable=SC2086
taskset -c 0 "$WYTHE" --store other build -q --soci $from -o type=oci,dest=again,tar=false context | cmp - digest
# Whoever takes it for the platform takes the image.
printf 'FROM it\nCOPY --from=it ["/own/d/a file", "/b"]\n' > over.Dockerfile
"$WYTHE" build -q -f over.Dockerfile --build-context it=oci-layout://$PWD/layout -o files context
cmp files/b 'context/d/a file'
skopeo copy -q oci:layout oci:alone
# Layers that are short need none, and other compressions have none.
mkdir short && printf 'FROM scratch\nCOPY . /\n' > short/Dockerfile
"$WYTHE" build -q --soci -o type=oci,dest=short-layout,tar=false short
fails grep -rq amazon.soci short-layout
fails "$WYTHE" build -q --soci --compression zstd -o type=oci,dest=refused,tar=false short
fails "$WYTHE" build -q --soci --for lambda -o type=oci,dest=refused,tar=false short

# From the store to a registry, and from there all of it.
if [ -n "$REGISTRY" ]; then
  image=$REGISTRY/e2e/lazy:1
  # shellcheck disable=SC2086
  "$WYTHE" build -q -t "$image" $from context
  "$WYTHE" push --for fargate "$image" > pushed
  "$WYTHE" copy --all "docker:$image" oci:fetched
  read_layers soci fetched
  [ "$(skopeo inspect --raw --tls-verify=false "docker://$image" | sha256sum | cut -d' ' -f1)" = "$(cut -d: -f2 pushed)" ]
  "$WYTHE" push --for fargate "$image" | cmp - pushed
fi

# zstd:chunked, which is zstd to everybody else.
# shellcheck disable=SC2086
"$WYTHE" build -q $from -o type=oci,dest=chunked,tar=false,compression=zstd:chunked,force-compression=true context > digest
read_layers zstd:chunked chunked | tee read
[ "$(grep -c layer read)" = 2 ]
# shellcheck disable=SC2086
taskset -c 0 "$WYTHE" --store other build -q $from \
  -o type=oci,dest=again-chunked,tar=false,compression=zstd:chunked,force-compression=true context | cmp - digest
"$WYTHE" build -q -f over.Dockerfile --build-context it=oci-layout://$PWD/chunked -o files-of-chunks context
cmp files-of-chunks/own/noise context/noise
skopeo copy -q --dest-decompress oci:chunked dir:decompressed
if [ -n "$REGISTRY" ]; then
  "$WYTHE" push --compression zstd:chunked "$image" "$REGISTRY/e2e/chunked:1"
  skopeo copy -q --src-tls-verify=false "docker://$REGISTRY/e2e/chunked:1" oci:fetched-chunks
  read_layers zstd:chunked fetched-chunks
fi

# What a container starts with is in front of it, and the tables say so.
printf '/own/noise\n/nowhere\n/own/d/numbers\n' > trace
"$WYTHE" build -q -o type=oci,dest=ordered,tar=false,compression=zstd:chunked,start-trace=trace $from context
read_layers zstd:chunked ordered
skopeo copy -q --dest-decompress oci:ordered dir:ordered-plain
tar tf "$(ls -S ordered-plain/* | head -1)" | grep -v '/$' | head -2 > in-front
printf 'own/noise\nown/d/numbers\n' | cmp - in-front
fails "$WYTHE" build -q -o type=oci,dest=refused,tar=false,start-trace=trace short
printf '../../up\n' > trace
fails "$WYTHE" build -q -o type=oci,dest=refused,tar=false,compression=estargz,start-trace=trace short
