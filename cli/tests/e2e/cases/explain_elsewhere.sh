# Why a step runs on a machine that never built a project: the latest result of another machine, from the cache that both
# have, the file that changed since, and by which run and from which commit that result was made. Nothing is asked for
# where nobody wants to know.
mkdir -p context/src
for name in a b c; do echo "$name" > "context/src/$name"; done
cat > context/Dockerfile << 'X'
FROM base
ARG VERSION
COPY src /src
RUN cat /src/* > /all
RUN echo "$VERSION" > /version
X
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --explain --build-context base=oci-layout://"$BASE" \
    -o "type=oci,dest=$store.tar" "$@" context 2> log || { cat log; return 1; }
}
openssl genpkey -algorithm ed25519 -out key.pem 2> /dev/null
openssl pkey -in key.pem -pubout -out key.pub
commit=0123456789abcdef0123456789abcdef01234567
mkdir -p context/.git/refs/heads
printf '[remote "origin"]\n\turl = https://me:hunter2@git.example/o/r.git\n' > context/.git/config
echo "$commit" > context/.git/refs/heads/main
echo 'ref: refs/heads/main' > context/.git/HEAD
(
  export GITHUB_SERVER_URL=https://github.example GITHUB_REPOSITORY=o/r GITHUB_RUN_ID=7
  build cold --build-arg VERSION=1 --cache-to type=local,dest=cache,mode=max --cache-sign-key key.pem
)
made='since it was made at 20[0-9TZ:-]* by https://github.example/o/r/actions/runs/7'
made="$made from https://git.example/o/r.git@$commit (refs/heads/main)"
grep -q 'because no earlier result is known' log
grep -q '3 results written, 3 layers sent' log
grep -q listings cache/blobs/sha256/*
build warm --build-arg VERSION=1 --cache-from type=local,src=cache --cache-verify-key key.pub
if grep -q because log; then exit 1; fi
cmp cold.tar warm.tar
# Whoever reads a cache learns neither who may read the repository, nor where it lay.
grep -q "$commit" cache/blobs/sha256/*
fails grep -q -e hunter2 -e "$PWD" cache/blobs/sha256/*
# The same as values: of what was found, and of what a step is compared with.
events() {
  "$WYTHE" --store "$1" --progress json build --explain --build-context base=oci-layout://"$BASE" --build-arg "VERSION=$2" \
    -t explained:1 --cache-from type=local,src=cache --cache-verify-key key.pub context 2> events > /dev/null
}
origin='"origin":{"invocation":"https://github.example/o/r/actions/runs/7","ref":"refs/heads/main",'
origin="$origin"'"revision":"'"$commit"'","source":"https://git.example/o/r.git"}'
events found 1
[ "$(grep '"event":"cached".*"hit":"cache"' events | grep -cF "$origin")" = 3 ]
# And afterwards, of what was found.
"$WYTHE" --store found explain explained:1 > told
[ "$(grep -c "^    made by https://github.example/o/r/actions/runs/7 from .*@$commit (refs/heads/main)\$" told)" = 3 ]
"$WYTHE" --store found explain --format json explained:1 | grep -qF "$origin"
# Whoever hands it on, it stays whose it was.
"$WYTHE" --store found build --build-context base=oci-layout://"$BASE" --build-arg VERSION=1 \
  --cache-to type=local,dest=handed,mode=max context > /dev/null 2> log
[ "$(grep -ahoF "$origin" handed/blobs/sha256/* | wc -l)" = 6 ]
# A later run does not say of it that it were its own.
(
  export GITHUB_SERVER_URL=https://github.example GITHUB_REPOSITORY=o/r GITHUB_RUN_ID=8
  build cold --build-arg VERSION=1 --cache-to type=local,dest=later,mode=max
)
grep -q '3 results written' log
fails grep -qa invocation later/blobs/sha256/*
# What was made here is nobody else's.
"$WYTHE" --store own build --build-context base=oci-layout://"$BASE" -t explained:1 context > /dev/null 2> log
"$WYTHE" --store own explain explained:1 > told
fails grep -q '^    made' told
echo changed > context/src/b
events compared 2
[ "$(grep '"event":"explained".*"kind":"changed"' events | grep -cF "$origin")" -ge 2 ]
build fresh --build-arg VERSION=2 --cache-from type=local,src=cache --cache-verify-key key.pub
grep -q 'because files of the build context changed: src/b (content), '"$made$" log
grep -q 'VERSION changed from "1" to "2"; what it stands on or reads changed: .*, '"$made$" log
# On the machine that found all of it as well.
build warm --build-arg VERSION=1 --cache-from type=local,src=cache
grep -q 'because files of the build context changed: src/b (content), '"$made$" log
# The other machine's listings are as good as none where they are spoilt.
for blob in cache/blobs/sha256/*; do
  if [ "$(head -c 4 "$blob" | od -An -tx1 | tr -d ' ')" = 28b52ffd ]; then echo x > "$blob"; fi
done
build spoilt --build-arg VERSION=1 --cache-from type=local,src=cache
grep -q 'because files of the build context changed, '"$made$" log
