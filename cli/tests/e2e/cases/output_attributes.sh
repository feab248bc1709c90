# What outputs ask for besides a place: eStargz layers, names by digest, statements as images.
mkdir context
printf 'FROM scratch\nCOPY . /\n' > context/Dockerfile
seq 100000 > context/numbers
echo a > context/a
field() { tr ',{}' '\n\n\n' | sed -n "s|^\"$1\":\"\(.*\)\"\$|\1|p"; }

"$WYTHE" build -q -o type=oci,dest=layout,tar=false,compression=estargz context > digest
manifest=layout/blobs/sha256/$(cut -d: -f2 digest)
layer=layout/blobs/sha256/$(grep -o '"layers":.*' "$manifest" | field digest | cut -d: -f2)
# The footer says where the table starts, and the annotation what it hashes to.
table=$((0x$(tail -c 51 "$layer" | tail -c +17 | head -c 16)))
tail -c +$((table + 1)) "$layer" | head -c -51 | gzip -dc | tar -xO stargz.index.json > toc
[ "sha256:$(sha256sum < toc | cut -d' ' -f1)" = "$(field containerd.io/snapshot/stargz/toc.digest < "$manifest")" ]
# What it says of a file is where that file is.
offset=$(tr '{}' '\n\n' < toc | grep '"name":"a"' | sed 's/.*"offset":\([0-9]*\).*/\1/')
[ "$(tail -c +$((offset + 1)) "$layer" | gzip -dc 2> unread | head -c 2)" = a ]
# To others it is gzip: such an image is a base like any other.
printf 'FROM seekable\nCOPY a /b\n' > context/second
"$WYTHE" build -f context/second --build-context seekable=oci-layout://$PWD/layout -o files context
cmp files/numbers context/numbers
cmp files/b context/a
[ ! -e files/stargz.index.json ]

# Names that cannot be moved to another image.
"$WYTHE" build -q -t app:1 -o type=image,name-canonical=true context > digest
"$WYTHE" inspect "app:1@$(cat digest)" > inspected
"$WYTHE" build -q -o type=image,dangling-name-prefix=nameless context > digest
"$WYTHE" images --digests | grep -q "^nameless  *<none>  *$(cat digest) "

# Statements for registries that know no artifacts.
statement() { grep -l in-toto "$1"/blobs/sha256/* | xargs grep -l '"layers"' ; }
"$WYTHE" build -q --provenance=true -o type=oci,dest=artifact,tar=false context
grep -q '"artifactType":"application/vnd.docker.attestation.manifest.v1+json"' "$(statement artifact)"
"$WYTHE" build -q --provenance=true -o type=oci,dest=image,tar=false,oci-artifact=false context
[ -z "$(grep artifactType "$(statement image)")" ]
grep -q '"mediaType":"application/vnd.oci.image.config.v1+json"' "$(statement image)"
