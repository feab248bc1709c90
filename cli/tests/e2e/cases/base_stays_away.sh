# Layers of a base that nobody runs on stay at their registry: no build, name or push there fetches them, and who
# needs their bytes later gets them from where they are recorded to be.
[ -n "$REGISTRY" ] || skip "docker-registry is not installed"
. "$CASES/../counting.sh"
counted=$("$CASES/../ports" 2) other=$((counted + 1))
counting_registry "$counted"
counting_registry "$other"
base=127.0.0.1:$counted/base:1
"$WYTHE" --store maker build --build-context base=oci-layout://"$BASE" \
  -o "type=registry,name=$base,compression=gzip,force-compression=true" - > /dev/null << 'X'
FROM base
RUN mkdir -p /srv/app && head -c 3000000 /dev/urandom > /srv/big
X
"$WYTHE" --store maker copy "docker://$base" oci:base:1 > /dev/null
layers=$(layers base)
[ "$(echo "$layers" | wc -l)" -ge 2 ]

# fetched: how many blobs of layers of the base the registry has handed out since it was asked last.
fetched() {
  since "$counted"
  # shellcheck disable=SC2086
  requests GET base 200 $layers > count
}
fetched
all=$(echo "$layers" | wc -l)
mkdir context
echo content > context/a

# What is put over it as it is, with a name in the store.
printf 'FROM %s\nLABEL a=b\nCOPY --link a /srv/app/a\nCMD ["cat", "/srv/app/a"]\n' "$base" > context/Dockerfile
"$WYTHE" --store one build -t app:1 context
fetched
[ "$(cat count)" = 0 ]
"$WYTHE" --store one verify
"$WYTHE" --store one images | grep -q app
"$WYTHE" --store one build -t app:1 context
"$WYTHE" --store one inspect app:1 > /dev/null
"$WYTHE" --store one prune
fetched
[ "$(cat count)" = 0 ]

# To the registry it came from, in another repository as well.
"$WYTHE" --store one build -t "127.0.0.1:$counted/app:1" --push context > /dev/null
fetched
[ "$(cat count)" = 0 ]

# A build from the name knows where the layers are, and so do what runs and what saves it.
printf 'FROM app:1\nCOPY --link a /b\n' > context/over.Dockerfile
"$WYTHE" --store one build -t over:1 -f context/over.Dockerfile context
fetched
[ "$(cat count)" = 0 ]
[ "$("$WYTHE" --store one run app:1)" = content ]
fetched
[ "$(cat count)" = "$all" ]
"$WYTHE" --store one save app:1 -o app.tar
"$WYTHE" --store one save over:1 -o over.tar
fetched
[ "$(cat count)" = 0 ]
"$WYTHE" --store two build -t over:1 -f context/Dockerfile context
"$WYTHE" --store two save over:1 -o saved.tar
fetched
[ "$(cat count)" = "$all" ]
"$WYTHE" --store two save over:1 -o again.tar
cmp saved.tar again.tar
fetched
[ "$(cat count)" = 0 ]

# To another registry they go by way of the store, each once.
"$WYTHE" --store three build -t app:1 context
"$WYTHE" --store three tag app:1 "127.0.0.1:$other/app:1"
"$WYTHE" --store three push "127.0.0.1:$other/app:1" > /dev/null
fetched
[ "$(cat count)" = "$all" ]
"$WYTHE" --store four build -t "127.0.0.1:$other/app:2" --push context > /dev/null
fetched
# The other one has them by now.
[ "$(cat count)" = 0 ]

# Whoever copies into what lies below has to know it: fetched once and never unpacked.
printf 'FROM %s\nCOPY a /srv/app/\nCMD ["cat", "/srv/app/a"]\n' "$base" > context/into.Dockerfile
"$WYTHE" --store five build -t app:1 -f context/into.Dockerfile context
fetched
[ "$(cat count)" = "$all" ]
[ -z "$(ls five/live)" ]
echo more > context/a
"$WYTHE" --store five build -t app:2 -f context/into.Dockerfile context
fetched
[ "$(cat count)" = 0 ]

# Steps that begin at once on a base share what is fetched.
for stage in 1 2 3 4 5 6 7 8; do
  printf 'FROM %s AS stage%s\nRUN echo %s > /srv/out%s\n' "$base" "$stage" "$stage" "$stage"
done > context/stages.Dockerfile
printf 'FROM %s\n' "$base" >> context/stages.Dockerfile
for stage in 1 2 3 4 5 6 7 8; do
  printf 'COPY --link --from=stage%s /srv/out%s /\n' "$stage" "$stage"
done >> context/stages.Dockerfile
"$WYTHE" --store seven build -t stages:1 -f context/stages.Dockerfile context
fetched
[ "$(cat count)" = "$all" ]

# What is not to be had is said, and from where.
"$WYTHE" --store six build -t app:1 context
kill $pids
pids=
status=0
"$WYTHE" --store six save app:1 -o lost.tar 2> err || status=$?
cat err
[ "$status" = 3 ]
grep -q "127.0.0.1:$counted/base" err
"$WYTHE" --store six verify
