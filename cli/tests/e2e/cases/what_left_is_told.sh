# The id and the digests that are told are those of the image that left, not of the one before its
# times were rewritten.
mkdir context
printf 'FROM scratch\nCOPY a /a\n' > context/Dockerfile
echo a > context/a
build() {
  "$WYTHE" build --build-arg SOURCE_DATE_EPOCH=1 --iidfile id --metadata-file told "$@" context > digest
}

build -o type=oci,dest=layout,tar=false,rewrite-timestamp=true
manifest=layout/blobs/sha256/$(cut -d: -f2 digest)
grep -q "\"digest\":\"$(cat id)\"" "$manifest"
grep -q "\"containerimage.digest\": \"$(cat digest)\"" told
grep -q "\"containerimage.config.digest\": \"$(cat id)\"" told


# What buildx says beside that: how it was built, and where it is asked for, what was found in the Dockerfile.
told() { python3 -c "import json; told = json.load(open('told')); $1"; }
told 'assert told["buildx.build.provenance"]["buildDefinition"]["externalParameters"]["configSource"]["path"] == "Dockerfile"'
told 'assert "metadata" not in told["buildx.build.provenance"]["runDetails"] and "buildx.build.warnings" not in told'
printf 'FROM scratch as last\nCOPY a /a\n' > context/Dockerfile
BUILDX_METADATA_PROVENANCE=max BUILDX_METADATA_WARNINGS=1 build --platform linux/amd64,linux/arm64
told 'assert "buildkit_metadata" in told["buildx.build.provenance/linux/arm64"]["runDetails"]["metadata"]'
told 'found, = told["buildx.build.warnings"]; assert found["range"][0]["start"]["line"] == 1 and "from-as-casing" in found["url"]'
BUILDX_METADATA_PROVENANCE=disabled build
told 'assert not [key for key in told if key.startswith(("buildx.build.provenance", "buildx.build.warnings"))]'

build -t rewritten -o type=image,rewrite-timestamp=true
"$WYTHE" inspect --raw manifest rewritten > manifest
[ "sha256:$(sha256sum < manifest | cut -d' ' -f1)" = "$(cat digest)" ]
grep -q "\"digest\":\"$(cat id)\"" manifest

# The keys are those that buildx has: names are written out, a manifest has its platform, and an index has no configuration.
build -t app -o type=oci,dest=named.tar,name=r.io/team/app:2
told 'assert told["image.name"] == "docker.io/library/app:latest,r.io/team/app:2" and told["containerimage.descriptor"]["platform"]["os"] == "linux"'
build --provenance=true -o type=oci,dest=stated.tar
[ "$(cat id)" = "$(cat digest)" ]
told 'assert "containerimage.config.digest" not in told and "image.name" not in told and "platform" not in told["containerimage.descriptor"]'
for kind in local,dest=files tar,dest=files.tar cacheonly; do
  build -o "type=$kind"
  told 'assert sorted(told) == ["buildx.build.provenance", "buildx.build.ref"]'
done

# The reference is what history knows the build by.
build
"$WYTHE" buildx history inspect "$(python3 -c 'import json; print(json.load(open("told"))["buildx.build.ref"])')" > report
grep -q context report
