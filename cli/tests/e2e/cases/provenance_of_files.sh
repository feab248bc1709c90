# Files that leave with a statement have it beside them, with the digest of every one of them.
mkdir context
printf 'FROM scratch\nCOPY a /d/a\n' > context/Dockerfile
echo a > context/a
build() { "$WYTHE" build "$@" context; }
digest=$(sha256sum < context/a | cut -d' ' -f1)

build --provenance=true --platform linux/amd64 -o out
grep -q '"name": "d/a"' out/provenance.json
grep -q "$digest" out/provenance.json
grep -q '"predicateType": "https://slsa.dev/provenance/v1"' out/provenance.json
build --attest type=provenance,mode=max --platform linux/amd64 -o type=tar,dest=out.tar,platform-split=false
tar -xOf out.tar provenance.json | grep -q "$digest"
tar -xOf out.tar provenance.json | grep -q '"filename": "Dockerfile"'
build --provenance=true --platform linux/amd64 -o type=local,dest=apart,platform-split=true,attestation-prefix=state-
grep -q "$digest" apart/linux_amd64/state-provenance.json
build --provenance=true --platform linux/amd64,linux/arm64 -o several
grep -q "$digest" several/linux_amd64/provenance.json
grep -q "$digest" several/linux_arm64/provenance.json
build -o plain
[ "$(ls plain)" = d ]
if build --attest type=sbom -o plain 2> refused; then exit 1; fi
grep -q 'not attached' refused
