# Cache mounts that are saved on one machine are there on another: the same bytes, modes, times, owners, links and
# attributes; only what changed is sent; a cache that is broken is a warning and an empty mount.
# The shell lets a failure pass that begins with an exclamation mark.
not() { if "$@"; then return 1; fi; }
mkdir context
cat > context/Dockerfile << 'X'
FROM base
ARG DO
RUN --mount=type=cache,id=npm,target=/c --mount=type=cache,id=other,target=/o --mount=type=cache,id=own,target=/p,uid=5,gid=6,mode=700 \
  eval "$DO"
X
# step STORE COMMAND [FLAG…]: runs a command with the mounts, and leaves what was said in log.
step() {
  store=$1 do=$2
  shift 2
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o type=cacheonly \
    --build-arg "DO=$do" "$@" context 2> log || { cat log; return 1; }
}
# What a step sees of the mounts, as lines of its output.
see='find /c /p | sort | while read f; do if [ -L $f ]; then echo SEEN $f $(readlink $f); else
  echo SEEN $f $(stat -c "%a %u %g %h %Y %y" $f); fi; [ ! -f $f ] || echo SEEN $(sha256sum $f); done'
seen() { grep -o 'SEEN .*' log | sort; }
make='mkdir -p /c/d/e && i=0; while [ $i -lt 300 ]; do echo file $i > /c/d/$i; i=$((i+1)); done
  head -c 12000000 /dev/urandom > /c/long; : > /c/empty; echo x > /c/.wh.x; ln /c/d/1 /c/hard; ln -s d/2 /c/soft; mkfifo /c/fifo
  chmod 4711 /c/d/3; chmod 1777 /c/d/e; chown 7:8 /c/d/4; touch -d "2001-02-03 04:05:06" /c/d/5 /c/d; echo own > /p/f'

# A directory. Mounts that are not named stay at home.
step one "$make; echo o > /o/f" --cache-to 'type=local,dest=cache,mounts=npm;own'
grep -q 'mount npm: 30[0-9] files .* saved' log
not grep -q 'mount other' log
step one "$see # 1"
seen > expected
[ "$(wc -l < expected)" -gt 300 ]
step two "$see; [ -z \"\$(ls /o)\" ]" --cache-from type=local,src=cache
grep -q 'mount npm restored' log
seen | cmp - expected
"$WYTHE" --store two verify
# It was not restored for nothing: there is something now, and that stays.
step two 'rm /c/d/7; # 2' --cache-from type=local,src=cache
step two '[ ! -e /c/d/7 ] # 3' --cache-from type=local,src=cache
not grep -q restored log

# Who restored it sends only what changed: one pack, and the document.
before=$(ls cache/blobs/sha256 | wc -l)
step two 'for i in 11 12 13; do echo changed > /c/d/$i; done' --cache-to 'type=local,dest=cache,mounts=all'
grep -q 'mount npm: .* 1 packs sent ([0-9.]*kB)' log
# A pack and a document of npm, those of other and own are new or as they were; the documents of records.
[ "$(ls cache/blobs/sha256 | wc -l)" -le "$((before + 6))" ]
# Nothing changed: nothing is sent.
step two 'ls -R /c > /dev/null; # 4' --cache-to 'type=local,dest=cache,mounts=npm'
not grep -q 'mount npm' log
step three '[ "$(cat /c/d/11 /c/d/14)" = "changed
file 14" ] && [ ! -e /c/d/7 ]' --cache-from type=local,src=cache
# The long file is in packs of the first time.
[ "$("$WYTHE" --store three cache ls --format json | grep -o '"id":"npm"' | wc -l)" = 1 ]

# A mount that no step has changed becomes what another machine has saved since: one whose files have several names whole, another
# one as far as it differs. One that a step has changed stays.
step two 'echo newer > /c/d/12; rm -rf /c/d/e; mkdir /c/n; echo n > /c/n/n; echo more > /p/g; chmod 640 /p/f # 8' \
  --cache-to 'type=local,dest=cache,mounts=npm;own'
step three '[ "$(cat /c/d/12 /c/n/n /p/f /p/g | tr "\n" " ")" = "newer n own more " ] && [ ! -e /c/d/e ] && [ "$(stat -c %a /p/f)" = 640 ] # 9' \
  --cache-from type=local,src=cache
grep -q 'mount npm restored' log && grep -q 'mount own restored' log || { cat log; false; }
step two "$see # 10"
seen > expected.two
step three "$see # 11" --cache-from type=local,src=cache
not grep -q restored log
seen | cmp - expected.two
step three 'echo here > /p/here # 12'
step two 'echo newest > /p/g # 13' --cache-to 'type=local,dest=cache,mounts=own'
step three '[ "$(cat /p/here /p/g | tr "\n" " ")" = "here more " ] # 14' --cache-from type=local,src=cache
not grep -q restored log
# Killed while it was changed: the mount is made anew.
touch $(dirname $(grep -l '^own$' three/caches/*/about))/0.changing
step three '[ "$(cat /p/g)" = newest ] && [ ! -e /p/here ] # 15' --cache-from type=local,src=cache

# After a failed build nothing is saved.
not step three 'echo bad > /c/bad; false' --cache-to type=local,dest=cache,mounts=all
step four '[ ! -e /c/bad ]' --cache-from type=local,src=cache

# Without layers of the cache, by hand, as a directory and as an archive.
"$WYTHE" --store one cache export npm -o exported | grep -q 'npm: 30[0-9] files'
"$WYTHE" --store one cache export --all -o all.tar > /dev/null
"$WYTHE" --store five cache import exported
"$WYTHE" --store five cache ls | grep -q npm
step five "$see # 5"
seen | grep '/c' > found
grep '/c' expected | cmp - found
"$WYTHE" --store six cache import all.tar own
step six '[ "$(cat /p/f)" = own ] && [ -z "$(ls /c)" ] && echo new > /p/f'
"$WYTHE" --store six cache import all.tar 2> told > /dev/null
grep -q 'own is here, and stays' told
"$WYTHE" --store six cache import all.tar own --replace > /dev/null
step six '[ "$(cat /p/f)" = own ] # 6'
not "$WYTHE" --store six cache import exported nothing 2> told
grep -q nothing told
"$WYTHE" --store six verify

# What is cut short, lies or is gone is a warning, and the step has an empty mount.
for how in 'truncate -s 30' 'cp context/Dockerfile' 'rm -f'; do
  rm -rf broken broken-store
  cp -a cache broken
  for blob in broken/blobs/sha256/*; do
    [ "$(head -c 4 "$blob" | od -An -tx1 | tr -d ' ')" != 28b52ffd ] || $how "$blob" 
  done
  step broken-store '[ -z "$(ls /c /p | grep -v :)" ] || exit 9' --cache-from type=local,src=broken
  grep -q 'cannot restore cache mount npm' log
done

not "$WYTHE" build --cache-to type=inline,mounts=all context 2> told
grep -q 'mounts: an image carries no cache mounts' told
step one 'true # 7' --cache-to type=local,dest=cache,mounts=npn
grep -q 'no step mounts the cache npn' log
