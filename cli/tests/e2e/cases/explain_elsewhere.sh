# Why a step runs on a machine that never built a project: the latest result of another machine, from the cache that both
# have, and the file that changed since. Nothing is asked for where nobody wants to know.
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
build cold --build-arg VERSION=1 --cache-to type=local,dest=cache,mode=max --cache-sign-key key.pem
grep -q 'because no earlier result is known' log
grep -q '3 results written, 3 layers sent' log
grep -q listings cache/blobs/sha256/*
build warm --build-arg VERSION=1 --cache-from type=local,src=cache --cache-verify-key key.pub
if grep -q because log; then exit 1; fi
cmp cold.tar warm.tar
echo changed > context/src/b
build fresh --build-arg VERSION=2 --cache-from type=local,src=cache --cache-verify-key key.pub
grep -q 'because files of the build context changed: src/b (content)$' log
grep -q 'VERSION changed from "1" to "2"' log
# On the machine that found all of it as well.
build warm --build-arg VERSION=1 --cache-from type=local,src=cache
grep -q 'because files of the build context changed: src/b (content)$' log
# The other machine's listings are as good as none where they are spoilt.
for blob in cache/blobs/sha256/*; do
  if [ "$(head -c 4 "$blob" | od -An -tx1 | tr -d ' ')" = 28b52ffd ]; then echo x > "$blob"; fi
done
build spoilt --build-arg VERSION=1 --cache-from type=local,src=cache
grep -q 'because files of the build context changed$' log
