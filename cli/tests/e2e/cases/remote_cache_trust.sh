# A cache that others can write to: what is signed is used, and what is unsigned, signed by another, changed or moved
# is not, with a warning that shows no key; branches write their own part; bytes that are not those that a record
# announced reach no image.
mkdir context
printf 'FROM base\nRUN date +%%N > /chance\nRUN cat /chance > /copied\n' > context/Dockerfile
for key in one two; do
  openssl genpkey -algorithm ed25519 -out "$key.pem" 2> /dev/null
  openssl pkey -in "$key.pem" -pubout -out "$key.pub"
done
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" context 2> log || { cat log; return 1; }
  if grep -qF "$(sed -n 2p one.pem)" log; then exit 1; fi
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
# forge CACHE STATEMENT: the records changed, and every digest above them made right again.
forge() {
  python3 - "$1" "$2" << 'X'
import hashlib, json, pathlib, sys
place = pathlib.Path(sys.argv[1])
def read(digest):
    return json.loads((place / "blobs/sha256" / digest[7:]).read_bytes())
def write(value):
    data = json.dumps(value).encode()
    name = hashlib.sha256(data).hexdigest()
    (place / "blobs/sha256" / name).write_bytes(data)
    return {"digest": "sha256:" + name, "size": len(data)}
index = json.loads((place / "index.json").read_bytes())
manifest = read(index["manifests"][0]["digest"])
records = read(manifest["config"]["digest"])
results = [key for key in records if "latest" not in records[key] and "kind" not in records[key]]
ordered = sorted(results, key=lambda key: records[key]["created"])
first, last = ordered[0], ordered[-1]
exec(sys.argv[2])
manifest["config"].update(write(records))
index["manifests"][0].update(write(manifest))
(place / "index.json").write_text(json.dumps(index))
X
}
# Signed, from a file and from the environment, and found by whoever has the other half or asks for none.
build cold --cache-to type=local,dest=signed --cache-sign-key one.pem
KEY=$(cat one.pub) build warm --cache-from type=local,src=signed --cache-verify-key env://KEY
[ "$(ran)" = 0 ]
cmp cold.tar warm.tar
KEY=$(cat one.pem) build own --cache-from type=local,src=signed --cache-sign-key env://KEY
[ "$(ran)" = 0 ]
build trusting --cache-from type=local,src=signed
[ "$(ran)" = 0 ]
cat two.pub one.pub > both.pub
build both --cache-from type=local,src=signed,verify-key=both.pub
[ "$(ran)" = 0 ]
# Another key, and no signature.
build other --cache-from type=local,src=signed --cache-verify-key two.pub
[ "$(ran)" = 2 ]
grep -q 'signed with another key: not used' log
build unsigned --cache-to type=local,dest=unsigned
build refusing --cache-from type=local,src=unsigned --cache-verify-key one.pub
[ "$(ran)" = 2 ]
grep -q '2 results that are not signed: not used' log
WYTHE_CACHE_VERIFY_KEY=one.pub build refusing2 --cache-from type=local,src=unsigned
[ "$(ran)" = 2 ]
WYTHE_CACHE_VERIFY_KEY=one.pub build exempt --cache-from type=local,src=unsigned,verify-key=none
[ "$(ran)" = 0 ]
# What nobody has signed is signed by the next who writes.
build signing --cache-to type=local,dest=unsigned --cache-sign-key one.pem
build signed2 --cache-from type=local,src=unsigned --cache-verify-key one.pub
[ "$(ran)" = 0 ]
# Changed, and moved to another key.
cp -r signed changed
forge changed 'records[last]["created"][0] += 1'
build changed --cache-from type=local,src=changed --cache-verify-key one.pub
[ "$(ran)" = 1 ]
grep -q 'is wrongly signed: not used' log
cp -r signed moved
forge moved 'records[last] = records[first]'
build moved --cache-from type=local,src=moved --cache-verify-key one.pub
[ "$(ran)" = 1 ]
grep -q 'is wrongly signed: not used' log
# A key that is none is told of before anything runs; a key in place of its name is not repeated.
if build none --cache-to type=local,dest=x --cache-sign-key one.pub > out; then exit 1; fi
grep -q "there is no private key in PEM in it" log
if "$WYTHE" build --cache-to type=local,dest=x --cache-sign-key "$(cat one.pem)" context 2> log; then exit 1; fi
grep -q 'not written on the command line' log
if grep -qF "$(sed -n 2p one.pem)" log; then exit 1; fi
# Records of nobody in particular, that announce what is not so: another stream, other files, other bytes.
for lie in 'records[last]["diffId"] = records[first]["diffId"]' 'records[last]["content"] = records[first]["content"]' \
  'records[last]["blob"] = records[first]["blob"]' 'records[last]["blob"]["size"] += 1'; do
  rm -rf lying
  cp -r signed lying
  forge lying "$lie"
  number=$((${number:-0} + 1))
  build "liar$number" --cache-from type=local,src=lying
  [ "$(ran)" -ge 1 ]
  grep -q 'does not hold what it announced' log
  build "liar$number" -o "type=local,dest=files$number"
  cmp "files$number/chance" "files$number/copied"
  "$WYTHE" --store "liar$number" verify
done
rm -rf lying
cp -r signed lying
for blob in lying/blobs/sha256/*; do
  if [ "$(head -c 2 "$blob" | od -An -tx1 | tr -d ' ')" = 1f8b ]; then
    printf XXXX | dd of="$blob" bs=1 seek=20 conv=notrunc 2> /dev/null
  fi
done
build liar --cache-from type=local,src=lying
[ "$(ran)" = 2 ]
grep -q 'does not hold what it announced' log
"$WYTHE" --store liar verify
# An image carries no signatures: that is refused by name where there is a key, unless it is said to be meant.
if build inline --cache-to type=inline --cache-sign-key one.pem > out; then exit 1; fi
grep -q 'type=inline: .* not signed' log
build inline --cache-to type=inline,sign-key=none --cache-sign-key one.pem
# Cache mounts: those that nobody to believe has signed stay where they are, and so do forged ones.
cp context/Dockerfile results.Dockerfile
mount() {
  printf 'FROM base\nARG DO\nRUN --mount=type=cache,id=m,target=/m eval "$DO"\n' > context/Dockerfile
  store=$1 do=$2
  shift 2
  build "$store" --build-arg "DO=$do" "$@"
}
mount m1 'echo kept > /m/f' --cache-to type=local,dest=mounts,mounts=m --cache-sign-key one.pem
mount m2 '[ "$(cat /m/f)" = kept ] # 2' --cache-from type=local,src=mounts --cache-verify-key one.pub
grep -q 'mount m restored' log
mount m3 '[ ! -e /m/f ] # 3' --cache-from type=local,src=mounts --cache-verify-key two.pub
grep -q 'signed with another key: not used' log
mount m4 'echo other > /m/f' --cache-to type=local,dest=plain,mounts=m
mount m5 '[ ! -e /m/f ] # 5' --cache-from type=local,src=plain --cache-verify-key one.pub
grep -q 'not signed: not used' log
mount m6 '[ "$(cat /m/f)" = other ] # 6' --cache-from type=local,src=plain
cp -r mounts forged
forge forged 'saved = [key for key in records if records[key].get("kind") == "cache-mount"][0]; records[saved]["label"] = "x"'
mount m7 '[ ! -e /m/f ] # 7' --cache-from type=local,src=forged --cache-verify-key one.pub
grep -q 'wrongly signed: not used' log
mv results.Dockerfile context/Dockerfile
# Branches: each writes its own part, and reads that and the part of main.
build main --cache-to type=local,dest=scopes,scope=main
printf 'RUN echo branch > /branch\n' >> context/Dockerfile
build branch --cache-from type=local,src=scopes,scope=feature/x --cache-to type=local,dest=scopes,scope=feature/x
[ "$(ran)" = 1 ]
build again --cache-from type=local,src=scopes,scope=feature/x
[ "$(ran)" = 0 ]
build neighbour --cache-from type=local,src=scopes,scope=feature-x
[ "$(ran)" = 1 ]
build main2 --cache-from type=local,src=scopes,scope=main
[ "$(ran)" = 1 ]
