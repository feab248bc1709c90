# The credentials of a registry go to it and to a token service that was named for it: to no storage it redirects to, no mirror,
# and no token service of another host that somebody in between could have named.
command -v python3 > /dev/null || skip "python3 is not installed"
address=$(hostname -I 2> /dev/null | cut -d' ' -f1)
[ -n "$address" ] && [ "$address" != 127.0.0.1 ] || skip "this machine has no address beside the loopback's"
export XDG_CONFIG_HOME="$PWD/config" DOCKER_CONFIG="$PWD/docker" WYTHE_STORE="$PWD/store"
mkdir -p config/wythe docker
python3 "$CASES/../credentials_log.py" ports log "$BASE" "$address" &
pid=$!
trap 'kill $pid' EXIT
while [ ! -e ports ]; do sleep 0.1; done
read -r registry token storage mirror < ports
host=127.0.0.1:$registry
canary=$(printf 'canary:sings' | base64) other=$(printf 'other:hums' | base64)
printf '{"auths": {"%s": {"auth": "%s"}, "127.0.0.1": {"auth": "%s"}, "%s": {"auth": "%s"}}}' \
  "$host" "$canary" "$other" "$address:$token" "$other" > docker/config.json

# Plain HTTP to another host: whoever is in between could have named it.
status=0
"$WYTHE" pull "$host/app:1" 2> err || status=$?
cat err
[ "$status" = 3 ]
grep -q "refused to ask http://$address:$token/token" err
fails grep '^token' log

cat > config/wythe/config.toml <<END
[registry."$host"]
auth-hosts = ["$address:$token"]
mirrors = ["http://127.0.0.1:$mirror"]
END
"$WYTHE" pull "$host/app:1" 2> err
cat err log
grep -q "the mirror 127.0.0.1:$mirror of $host was passed over" err
grep -qx "token Basic $canary" log
grep -q '^registry Bearer good' log
grep -q '^storage' log
grep -q '^mirror' log
fails grep "^[^t].*$canary" log
fails grep "$other" log
[ "$(grep '^storage' log | sort -u)" = 'storage -' ]
[ "$(grep '^mirror' log | sort -u)" = 'mirror -' ]
[ "$(grep -c '^token' log)" = 1 ]

# The mirror gets what was stored for it, and that goes nowhere else.
: > log
printf '{"auths": {"%s": {"auth": "%s"}, "127.0.0.1:%s": {"auth": "%s"}}}' "$host" "$canary" "$mirror" "$other" > docker/config.json
WYTHE_STORE=$PWD/second "$WYTHE" pull "$host/app:1"
cat log
grep -qx "mirror Basic $other" log
[ "$(grep -c "$other" log)" = "$(grep -c '^mirror Basic' log)" ]
fails grep "^[^t].*$canary" log
