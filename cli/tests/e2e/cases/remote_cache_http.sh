# A WebDAV server as a cache: an empty store runs no step, and collections are made; a wrong password fails no build.
server=$(command -v lighttpd || ls /usr/sbin/lighttpd 2> /dev/null) || skip "lighttpd is not installed"
port=$("$CASES/../ports" 1)
mkdir files context
echo ada:secret > users
cat > lighttpd.conf << X
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
server.bind = "127.0.0.1"
server.port = $port
server.document-root = "$PWD/files"
server.errorlog = "$PWD/errors"
server.upload-dirs = ("$PWD")
webdav.activate = "enable"
auth.backend = "plain"
auth.backend.plain.userfile = "$PWD/users"
auth.require = ("" => ("method" => "basic", "realm" => "r", "require" => "valid-user"))
X
"$server" -D -f lighttpd.conf &
pid=$!
trap 'kill $pid' EXIT
tries=0
until "$CASES/../listening" "$port"; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ]
  sleep 0.1
done
cache=type=http,url=http://127.0.0.1:$port/team/app
export WYTHE_CACHE_USERNAME=ada WYTHE_CACHE_PASSWORD=secret
echo one > context/a
printf 'FROM base\nRUN date +%%N > /chance\nCOPY a /a\nRUN cat /a > /copied\n' > context/Dockerfile
build() {
  store=$1
  shift
  "$WYTHE" --store "$store" --progress plain build --build-context base=oci-layout://"$BASE" -o "type=oci,dest=$store.tar" \
    "$@" context 2> log || { cat log; return 1; }
}
ran() { grep -c '^#[0-9]* DONE ' log || true; }
build cold --cache-to "$cache,mode=max"
[ "$(ran)" = 3 ]
# All records lie in one file, and the small layers in one.
[ "$(find files/team/app -type f | wc -l)" = 2 ]
build warm --cache-from "$cache" --cache-to "$cache"
[ "$(ran)" = 0 ]
cmp cold.tar warm.tar
[ "$(grep -c 'results written' log)" = 0 ]
"$WYTHE" --store warm verify

# One file changed.
echo two > context/a
build changed --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 2 ]
echo one > context/a

# Twenty times two jobs at once: this server heeds conditions, and nothing of either is lost.
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  jobs=
  for job in a b; do
    mkdir -p "at/$round$job"
    echo "$round$job" > "at/$round$job/f"
    printf 'FROM scratch\nCOPY f /\n' > "at/$round$job/Dockerfile"
    rm -rf "store$job"
    "$WYTHE" --store "store$job" build -q -o type=cacheonly --cache-to "$cache,mode=max,ignore-error=false" "at/$round$job" \
      > "$job.log" 2>&1 &
    jobs="$jobs $!"
  done
  for job in $jobs; do wait "$job" || { cat a.log b.log; false; }; done
done
for made in at/*; do
  rm -rf found
  "$WYTHE" --store found --progress plain build -o type=cacheonly --cache-from "$cache" "$made" 2> log
  grep -q '^summary: 1 step: 0 ran, 1 in http ' log || { cat log; false; }
done

# What the server has lost is made, and kept again.
rm files/team/app/cas/*
build lost --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 3 ]
build kept --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 0 ]
cmp lost.tar kept.tar

# Blobs that are not what they were.
for blob in files/team/app/cas/*; do echo lie > "$blob"; done
build lied --cache-from "$cache"
grep -q 'it runs' log
"$WYTHE" --store lied verify

# Who has not the password builds all the same, and is not shown it.
export WYTHE_CACHE_PASSWORD=wrong
build refused --cache-from "$cache" --cache-to "$cache,mode=max"
[ "$(ran)" = 3 ]
grep -q 'access denied' log
[ "$(grep -c wrong log)" = 0 ]
"$WYTHE" build --cache-to "$cache,repository=x" context 2> log && exit 1
grep -q repository log
