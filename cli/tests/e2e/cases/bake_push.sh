# Targets that are pushed together: a blob of several images is asked for once and sent once, and another repository of the
# same registry takes it from the first. What one target failed at does not keep the others from being told of.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
. "$CASES/../counting.sh"
port=$("$CASES/../ports" 1)
counting_registry "$port"
export HOST=127.0.0.1:$port BASE
mkdir app && cat > app/Dockerfile <<'D'
FROM base AS shared
RUN head -c 300000 /dev/urandom > /shared
FROM shared
ARG N
RUN echo "$N" > /n
D
cat > docker-bake.hcl <<'D'
variable "BASE" {}
variable "HOST" {}
target "app" {
  name     = "app-${n}"
  matrix   = { n = ["1", "2", "3", "4", "5", "6"] }
  context  = "app"
  contexts = { base = "oci-layout://${BASE}" }
  args     = { N = n }
  tags     = ["${HOST}/${n == "6" ? "other" : "app"}:${n}"]
}
target "broken" {
  contexts          = { base = "oci-layout://${BASE}" }
  dockerfile-inline = "FROM base\nRUN exit 7\n"
}
target "above" {
  contexts          = { broken = "target:broken" }
  dockerfile-inline = "FROM broken\n"
}
D
"$WYTHE" --progress plain bake --push app --metadata-file about > out 2> log.text || { cat log.text; exit 1; }
since "$port"
# Of a digest there is one upload in a repository, and one question.
grep -o 'PUT /v2/app/blobs/uploads/[^ ]*digest=sha256[^ &]*' log | sed 's/.*digest=//' | sort > sent
[ -s sent ]
[ -z "$(uniq -d sent)" ]
grep -o 'HEAD /v2/app/blobs/sha256:[0-9a-f]*' log | sort > asked
[ -z "$(uniq -d asked)" ]
for n in 1 2 3 4 5; do "$WYTHE" manifest inspect "$HOST/app:$n" > /dev/null; done
"$WYTHE" --store elsewhere pull "$HOST/other:6" > /dev/null
# What both repositories hold was sent to one of them: three layers of the base and the shared step are not twice on the way.
grep -o 'PUT /v2/other/blobs/uploads/[^ ]*digest=sha256[^ &]*' log | sed 's/.*digest=//' | sort > other
shared=$(comm -12 sent other | wc -l)
[ "$shared" = 0 ] || [ "$(grep -c 'mount=' log)" -gt 0 ]

# With defer-error all is told that there is to tell.
status=0
"$WYTHE" bake --execution defer-error --metadata-file about above app-1 > /dev/null 2> told || status=$?
[ "$status" = 7 ] || [ "$status" = 1 ]
grep -q '"app-1": {' about
grep -q '1 targets are built; not begun: above' told
grep -q '^summary: ' told
rm about
fails "$WYTHE" bake --metadata-file about broken 2> /dev/null
[ ! -e about ]
