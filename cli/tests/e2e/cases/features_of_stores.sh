# What a newer version has given a store is passed by, leaves it for reading, or is refused by name.
export WYTHE_STORE="$PWD/store"
printf 'FROM base\nCOPY Dockerfile /f\n' > Dockerfile
build() { "$WYTHE" build --progress=quiet --build-context base=oci-layout://"$BASE" -t "$1" .; }
files() { find store -type f -exec cksum {} + | sort; }
build here
sed -i 's/^compat:.*/compat: shiny/' store/FORMAT
build there
grep -qx 'compat: shiny' store/FORMAT

sed -i 's/^ro-compat:.*/ro-compat: newer/' store/FORMAT
files > before
for read in images 'inspect here' 'history here' du verify 'verify --live' 'save -o here.tar here'; do
  "$WYTHE" $read > /dev/null
done
files | cmp - before
for write in 'tag here b' 'rmi here' prune 'build .' 'run here true'; do
  if "$WYTHE" $write 2> told; then echo "wrote: $write"; exit 1; fi
  grep -q '"newer"' told
  grep -q '^help: ' told
done
files | cmp - before
WYTHE_STORE="$PWD/other" "$WYTHE" load -i here.tar

sed -i 's/^incompat:.*/incompat: newest/' store/FORMAT
if "$WYTHE" images 2> told; then exit 1; fi
grep -q '"newest"' told
