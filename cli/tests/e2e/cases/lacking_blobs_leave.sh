# Of an image that is pushed or copied only what the other side lacks is fetched, and each blob is asked for once,
# however many names and registries it goes to.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
. "$CASES/../counting.sh"
one=$("$CASES/../ports" 2) two=$((one + 1))
counting_registry "$one"
counting_registry "$two"
base=127.0.0.1:$one/base:1

# A base with a layer that is compressed, and one that is not.
printf 'FROM scratch\nCOPY a /srv/below\n' > below.Dockerfile
printf 'FROM below\nCOPY a /srv/above\n' > above.Dockerfile
mkdir files
head -c 300000 /dev/urandom > files/a
"$WYTHE" --store maker build -f below.Dockerfile -o type=oci,dest=below.tar,compression=gzip files > /dev/null
"$WYTHE" --store other-maker load -i below.tar -t below > /dev/null
"$WYTHE" --store other-maker build -f above.Dockerfile -o "type=registry,name=$base,compression=uncompressed" files > /dev/null
"$WYTHE" --store maker copy "docker://$base" oci:base:1 > /dev/null
layers=$(layers base)
[ "$(echo "$layers" | wc -l)" = 2 ]
[ "$(grep -l 'layer.v1.tar+gzip' base/blobs/sha256/* | wc -l)" = 1 ]
since "$one"

# fetched: how often a layer of the base was handed out since it was asked last, by any repository.
fetched() {
  since "$one"
  # shellcheck disable=SC2086
  requests GET '[a-z0-9]*' 200 $layers > count
}

mkdir context
echo content > context/a
printf 'FROM %s\nCOPY --link a /a\n' "$base" > context/Dockerfile
app=127.0.0.1:$one/app
export SOURCE_DATE_EPOCH=1

# A name of the store goes to the registry of its base: the layers are taken over there.
"$WYTHE" --store first build -t "$app:1" context
"$WYTHE" --store first push "$app:1" > first-pushed
fetched
[ "$(cat count)" = 0 ]
grep -c 'POST /v2/app/blobs/uploads/?.*mount=' log > mounts
[ "$(cat mounts)" = 2 ]
# Another repository beside it, where nothing is known of the base but its name.
"$WYTHE" --store first push "$app:1" "127.0.0.1:$one/again:1" | cmp - first-pushed
fetched
[ "$(cat count)" = 0 ]
[ "$(grep -c 'PUT /v2/again/blobs/' log || true)" = 0 ]

# A build that is pushed fetches neither, and says the same.
"$WYTHE" --store second build -t "$app:2" -t "$app:3" -t "127.0.0.1:$one/third:1" --push context | cmp - first-pushed
fetched
[ "$(cat count)" = 0 ]
# shellcheck disable=SC2086
[ "$(requests HEAD app '[0-9]*' $layers)" = 2 ]
# shellcheck disable=SC2086
[ "$(requests HEAD third '[0-9]*' $layers)" = 2 ]

# From one repository to another of the same registry nothing passes this machine.
"$WYTHE" --store third copy "docker://$app:1" "docker://127.0.0.1:$one/copied:1" | cmp - first-pushed
fetched
[ "$(cat count)" = 0 ]
[ "$(grep -c 'POST /v2/copied/blobs/uploads/?.*mount=' log)" -ge 3 ]
"$WYTHE" --store third copy "docker://$app:1" "docker://127.0.0.1:$one/copied:2" > /dev/null
fetched
[ "$(grep -c 'POST /v2/copied/blobs/uploads/' log || true)" = 0 ]

# To another registry each layer goes once, and not again by whoever comes later.
"$WYTHE" --store fourth copy "docker://$app:1" "docker://127.0.0.1:$two/app:1" | cmp - first-pushed
fetched
[ "$(cat count)" = 2 ]
"$WYTHE" --store fifth copy "docker://$app:1" "docker://127.0.0.1:$two/app:2" | cmp - first-pushed
fetched
[ "$(cat count)" = 0 ]
"$WYTHE" --store sixth build -t app context
"$WYTHE" --store sixth push app "127.0.0.1:$two/app:3" | cmp - first-pushed
fetched
[ "$(cat count)" = 0 ]

# A layout that has the layers needs no others.
"$WYTHE" --store seventh copy "docker://$app:1" oci:layout:1 | cmp - first-pushed
fetched
[ "$(cat count)" = 2 ]
"$WYTHE" --store eighth copy "docker://$app:1" oci:layout:2 | cmp - first-pushed
fetched
[ "$(cat count)" = 0 ]

# All of it arrived: the image runs from each place.
for name in "$app:1" "127.0.0.1:$one/copied:1" "127.0.0.1:$two/app:3"; do
  "$WYTHE" --store last pull "$name" | cmp - first-pushed
  "$WYTHE" --store last save "$name" -o last.tar
done

# What the source has lost is named, and nothing is tagged.
below=$(echo "$layers" | head -n 1)
rm -r "data$one/docker/registry/v2/repositories/app/_layers/sha256/${below#*:}"
status=0
"$WYTHE" --store ninth copy "docker://$app:1" "docker://127.0.0.1:$two/lost:1" 2> refused > out || status=$?
cat refused
[ "$status" = 3 ]
grep -q "$below" refused
status=0
"$WYTHE" --store ninth pull "127.0.0.1:$two/lost:1" > /dev/null 2>&1 || status=$?
[ "$status" = 3 ]

# A base of a layout whose layers the registry has stays away, too, and its name in the store is whole.
"$WYTHE" --store tenth build --build-context "127.0.0.1:$one/base:1=oci-layout://base" -f - \
  -t "127.0.0.1:$two/app:4" --push context > /dev/null <<X
FROM 127.0.0.1:$one/base:1
COPY --link a /b
X
"$WYTHE" --store tenth verify
rm -r base
"$WYTHE" --store tenth save "127.0.0.1:$two/app:4" -o tenth.tar
