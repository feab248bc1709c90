# Layers of a base leave for a registry that lacks them while later steps run, fetched once for steps and for that; and a
# layer of several targets leaves for the repositories of those that it is of, in each form that outputs ask for.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
. "$CASES/../counting.sh"
from_port=$("$CASES/../ports" 2) port=$((from_port + 1))
counting_registry "$from_port"
counting_registry "$port"
from=127.0.0.1:$from_port to=127.0.0.1:$port
export SOURCE_DATE_EPOCH=1
mkdir context
echo one > context/a
echo two > context/b
# Waits until a repository has blobs.
cat > context/arrived <<'X2'
repository=$1 port=$2 tries=0
shift 2
for digest; do
  until wget -q -O /dev/null "http://127.0.0.1:$port/v2/$repository/blobs/$digest"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "$digest has not arrived"; exit 1; }
    sleep 0.1
  done
done
X2
build() {
  "$WYTHE" build --network host --allow network.host "$@" context
}
printf 'FROM base\nCOPY b /b\n' > context/Dockerfile
build --build-context base=oci-layout://"$BASE" -t "$from/base:1" --push > /dev/null
"$WYTHE" copy "docker://$from/base:1" oci:base-layout > /dev/null
base=$(layers base-layout)
[ "$(echo "$base" | wc -l)" = 2 ]

# In a store that has nothing of it.
WYTHE_STORE=$PWD/second
export WYTHE_STORE
since "$from_port"
printf 'FROM %s/base:1\nCOPY a /a\nCOPY arrived /arrived\nARG BASE\nRUN --network=host sh /arrived early %s $BASE\n' \
  "$from" "$port" > context/Dockerfile
build --build-arg "BASE=$(echo $base)" -t "$to/early:1" --push > early
since "$from_port"
for digest in $base; do
  [ "$(requests GET base 200 "$digest")" = 1 ]
done
since "$port"
grep -o 'HEAD /v2/early/blobs/sha256:[0-9a-f]*' log | sort | uniq -d > twice
grep -o 'PUT /v2/early/blobs/uploads/[^ ]*' log | sort | uniq -d >> twice
[ ! -s twice ]
"$WYTHE" push "$to/early:1" "$to/late:1" | cmp - early

# Two targets on one base: what they share is asked for in both repositories, the rest in its own.
printf 'FROM %s/base:1 AS shared\nCOPY a /a\nCOPY arrived /arrived\nARG BASE\nFROM shared AS one\nRUN --network=host sh /arrived one %s $BASE && echo one > /made\nFROM shared AS two\nRUN --network=host sh /arrived two %s $BASE && echo two > /made\n' \
  "$from" "$port" "$port" > context/Dockerfile
build --build-arg "BASE=$(echo $base)" --target one --target two \
  -o "type=registry,target=one,name=$to/one" -o "type=registry,target=two,name=$to/two,compression=zstd" > /dev/null
since "$port"
for repository in one two; do
  "$WYTHE" copy "docker://$to/$repository" "oci:layout-$repository" > /dev/null
  [ "$(layers "layout-$repository" | wc -l)" = 5 ]
  grep -o "HEAD /v2/$repository/blobs/sha256:[0-9a-f]*" log | sort > asked
  # Five layers and a configuration.
  [ "$(wc -l < asked)" = 6 ]
  [ -z "$(uniq -d asked)" ]
done

# A step that fails ends the build at once, and names nothing.
printf 'RUN false\n' >> context/Dockerfile
status=0
build --build-arg "BASE=$(echo $base)" --target two -t "$to/failed:1" --push > /dev/null 2> told || status=$?
[ "$status" = 1 ]
since "$port"
if grep -q 'PUT /v2/failed/manifests/' log; then exit 1; fi
