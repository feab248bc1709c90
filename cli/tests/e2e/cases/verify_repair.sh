# What is damaged is named with its image, and put right by a repair or by the next build.
export WYTHE_STORE="$PWD/store"
mkdir context
head -c 300000 /dev/urandom > context/data
echo hello > context/small
printf 'FROM scratch\nCOPY data /data\nCOPY small /etc/small\n' > context/Dockerfile
name=127.0.0.1:1/app:1
"$WYTHE" build -q -t "$name" context
printf 'FROM scratch\nLABEL a=b\n' | "$WYTHE" build -q -t other -
"$WYTHE" verify
"$WYTHE" verify --quick
"$WYTHE" verify --repair > told
grep -qx 'no damage' told

# fails STATUS COMMAND…
fails() {
  status=0
  expected=$1
  shift
  "$@" > found 2> err || status=$?
  cat found
  [ "$status" = "$expected" ]
}

pack=$(find store/packs -name '*.pack' -size +200k)
chmod u+w "$pack"
printf 'damage' | dd of="$pack" bs=1 seek=150000 conv=notrunc 2> /dev/null
fails 6 "$WYTHE" verify
grep -q "^image $name for linux/.*: layer 1 of 2, sha256:[0-9a-f]*: the bytes of /data: .*checksum mismatch" found
fails 6 "$WYTHE" verify --format json
grep -q "\"image\":\"$name\"" found
if grep -q other found; then exit 1; fi

# The registry of the name cannot be reached, so that the name stays.
fails 6 "$WYTHE" verify --repair
grep -q '^put packs/.* aside in quarantine/: ' found
[ -e "store/quarantine/$(basename "$pack")" ]
"$WYTHE" images --format '{{.Repository}}:{{.Tag}}' | grep -qx "$name"
"$WYTHE" save other > /dev/null
"$WYTHE" build -q -t "$name" context
"$WYTHE" verify
