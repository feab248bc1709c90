# What a name stands for arrives whole, wherever it goes: all platforms, and what is stated of them.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
mkdir context
printf 'FROM scratch\nARG TARGETARCH\nCOPY a /\nLABEL of=$TARGETARCH\n' > context/Dockerfile
echo "$$" > context/a
from=$REGISTRY/e2e/all:1
"$WYTHE" build --platform linux/amd64,linux/arm64,linux/s390x --provenance=true --annotation index:note=kept \
  -t "$from" --push context > pushed
root=$(cat pushed)

# entries NAME: what the index of a name at the registry lists, with all that is behind it there.
entries() {
  "$WYTHE" --store check copy "docker://$1" oci:check:"${1##*[:/]}" > copied
  cmp -s copied pushed
  [ "$(grep -o '"os":"linux"' "check/blobs/sha256/${root#*:}" | wc -l)" = 3 ]
  [ "$(grep -o '"attestation-manifest"' "check/blobs/sha256/${root#*:}" | wc -l)" = 3 ]
}
entries "$from"
for blob in check/blobs/sha256/*; do
  [ "$(sha256sum < "$blob")" = "${blob##*/}  -" ]
done

# From registry to registry, by tag and by digest; by way of the store; by way of archives.
"$WYTHE" --store two copy "docker://$from" "docker://$REGISTRY/e2e/copied:by-tag" | cmp - pushed
"$WYTHE" --store three copy "docker://${from%:*}@$root" "docker://$REGISTRY/e2e/copied:by-digest" | cmp - pushed
entries "$REGISTRY/e2e/copied:by-tag"
entries "$REGISTRY/e2e/copied:by-digest"
# One image is fetched by a pull; the others when they leave, from where the name was pulled from.
"$WYTHE" --store four pull "$from" | cmp - pushed
"$WYTHE" --store four tag "$from" "$REGISTRY/e2e/pulled:1"
"$WYTHE" --store four push "$REGISTRY/e2e/pulled:1" | cmp - pushed
entries "$REGISTRY/e2e/pulled:1"
"$WYTHE" --store four save "$from" -o saved.tar
"$WYTHE" --store four copy "$from" oci-archive:copied.tar:x
for archive in saved.tar copied.tar; do
  rm -rf store-of-archive
  "$WYTHE" --store store-of-archive load -i "$archive" -t "$REGISTRY/e2e/${archive%.tar}:1" | cmp - pushed
  "$WYTHE" --store store-of-archive push "$REGISTRY/e2e/${archive%.tar}:1"
  entries "$REGISTRY/e2e/${archive%.tar}:1"
done

# Where the rest is not to be had, nothing leaves that looks whole.
"$WYTHE" --store five pull "$from" > /dev/null
"$WYTHE" --store five tag "$from" "$REGISTRY/e2e/elsewhere:1"
"$WYTHE" --store five rmi "$from" > /dev/null
status=0
"$WYTHE" --store five push "$REGISTRY/e2e/elsewhere:1" 2> refused || status=$?
[ "$status" = 3 ]
grep -q 'linux/s390x' refused
grep -q '^help: .*--all-platforms.*--platform' refused
"$WYTHE" --store five push --platform linux/"$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')" "$REGISTRY/e2e/elsewhere:1" > one
if cmp -s one pushed; then exit 1; fi
"$WYTHE" --store six pull --all-platforms "$from" | cmp - pushed
"$WYTHE" --store six tag "$from" "$REGISTRY/e2e/elsewhere:2"
"$WYTHE" --store six rmi "$from" > /dev/null
"$WYTHE" --store six push "$REGISTRY/e2e/elsewhere:2" | cmp - pushed

# A flag takes one image, of this machine's architecture or of another; it can be listed and copied.
"$WYTHE" --store seven pull --platform linux/s390x "$from" > one
"$WYTHE" --store seven images | grep -q e2e/all
"$WYTHE" --store seven inspect "$from" | grep -q '"of": "s390x"'
"$WYTHE" --store seven push "$from" "$REGISTRY/e2e/one:1" | cmp - one
"$WYTHE" --store seven copy --platform linux/arm64 "docker://$from" arm > /dev/null
"$WYTHE" --store seven inspect arm | grep -q '"of": "arm64"'
# An index without anything for this machine is one, too.
"$WYTHE" --store eight build --platform linux/s390x,linux/ppc64le -t other -o type=oci,dest=other.tar context > /dev/null
"$WYTHE" --store eight load -i other.tar > /dev/null
"$WYTHE" --store eight images | grep -q '^other  *latest '
"$WYTHE" --store eight save other > /dev/null

# docker loads what is saved and copied under its name.
"$WYTHE" --store eight save other | tar -xO manifest.json | grep -q '"RepoTags":\["other:latest"\]'
"$WYTHE" --store eight copy other docker-archive:named.tar > /dev/null
tar -xOf named.tar manifest.json | grep -q '"RepoTags":\["other:latest"\]'
"$WYTHE" --store eight copy other docker-archive:named.tar:app:2 > /dev/null
tar -xOf named.tar manifest.json | grep -q '"RepoTags":\["app:2"\]'

# An archive goes to standard output, which then has nothing else.
"$WYTHE" --store eight copy other docker-archive:- | cmp - named.tar 2> /dev/null && exit 1
"$WYTHE" --store eight copy other docker-archive:-:app:2 | cmp - named.tar
[ ! -e - ]
status=0
script -qec "'$WYTHE' --store eight copy other oci-archive:-" /dev/null > screen < /dev/null || status=$?
[ "$status" = 2 ]
grep -q 'not for a terminal' screen

# Of an archive that lists more than it has, as docker writes them, what it has is loaded.
mkdir unpacked
tar -xf saved.tar -C unpacked
s390x=$("$WYTHE" --store eleven load -i unpacked -t one --platform linux/s390x)
rm "unpacked/blobs/sha256/${s390x#*:}"
"$WYTHE" --store nine load -i unpacked -t part 2> remarks | cmp - pushed
grep -q '^note: linux/s390x is not in it' remarks
status=0
"$WYTHE" --store ten copy oci:unpacked part 2> refused || status=$?
[ "$status" = 2 ]
grep -q 'not to be had: linux/s390x$' refused
