# A long layer is sent while it is compressed, in one request, and asked for once at most; it arrives where connections
# break, too. (A docker-registry forgets what a request brought that broke.) What is at the registry is what is stored.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
command -v python3 > /dev/null || skip "python3 is not installed"
. "$CASES/../counting.sh"
port=$("$CASES/../ports" 2) breaking=$((port + 1))
counting_registry "$port"
python3 "$CASES/../breaking_proxy.py" "$breaking" "$port" 20000000 2 "$PWD/count" &
pids="$pids $!"
until "$CASES/../listening" "$breaking"; do sleep 0.1; done
export SOURCE_DATE_EPOCH=1
mkdir context
# 48 MiB that do not become shorter.
dd if=/dev/urandom of=context/long bs=1M count=48 2> /dev/null
printf 'FROM base\nCOPY long /long\n' > context/Dockerfile
build() {
  "$WYTHE" build --build-context base=oci-layout://"$BASE" "$@" context
}
# layer REPOSITORY: the last layer of its image, which is fetched as a whole.
layer() {
  "$WYTHE" --store "other-$1" copy "docker://127.0.0.1:$port/$1:1" "oci:layout-$1:1" > /dev/null
  layers "layout-$1" | tail -n 1
}
build -t "127.0.0.1:$port/early:1" --push > early
since "$port"
[ "$(grep -c 'PATCH /v2/early/blobs/uploads/' log)" = 1 ]
[ "$(grep -c 'PUT /v2/early/blobs/uploads/' log)" = 3 ]
long=$(layer early)
since "$port"
[ -n "$long" ]

# As a whole, where it is known: the same image.
"$WYTHE" push "127.0.0.1:$port/early:1" "127.0.0.1:$port/whole:1" | cmp - early

# Through a proxy that breaks two connections.
WYTHE_STORE=$PWD/second build -t "127.0.0.1:$breaking/broken:1" --push > broken
cmp early broken
since "$port"
[ "$(requests HEAD broken 404 "$long")" -le 1 ]
# Twice 20 MB and a layer.
[ "$(cat count)" -lt 96000000 ]
[ "$(layer broken)" = "$long" ]
