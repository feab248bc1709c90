# Whoever is interrupted while a service does not answer ends within ten seconds, whatever the service is asked for.
mkdir context
printf 'FROM base\nRUN date +%%N > /one\n' > context/Dockerfile
printf 'FROM %s/nothing:1\nRUN true\n' 127.0.0.1:PORT > context/pulled
# hangs METHODS FLAG…: interrupts a build once the service has a request that it does not answer.
hangs() {
  methods=$1
  shift
  port=$("$CASES/../ports" 1)
  rm -rf asked
  # shellcheck disable=SC2086
  python3 "$CASES/../hanging_service.py" "$port" asked $methods &
  service=$!
  sed "s/PORT/$port/" context/pulled > context/here
  words=$(printf '%s\n' "$@" | sed "s/PORT/$port/")
  # shellcheck disable=SC2086
  "$WYTHE" --store "store-$port" build --build-context base=oci-layout://"$BASE" $words context > log 2>&1 &
  pid=$!
  tries=0
  until [ -s asked ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ]
    sleep 0.1
  done
  kill -INT $pid
  asked=$(date +%s%N)
  status=0
  wait $pid || status=$?
  took=$((($(date +%s%N) - asked) / 1000000))
  kill $service
  echo "$*: $status after $took ms"
  [ "$status" = 130 ]
  [ "$took" -le 10000 ]
}
hangs 'PUT POST' -o type=cacheonly --cache-to type=http,url=http://127.0.0.1:PORT/
hangs 'PUT POST' -o type=cacheonly --cache-to type=http,url=http://127.0.0.1:PORT/,ignore-error=false
hangs 'GET HEAD' -o type=cacheonly --cache-from type=http,url=http://127.0.0.1:PORT/
hangs 'PUT POST' -o type=cacheonly --cache-to type=registry,ref=127.0.0.1:PORT/some:cache
hangs 'GET HEAD' -o type=cacheonly --cache-from type=registry,ref=127.0.0.1:PORT/some:cache
hangs 'PUT POST PATCH' --push -t 127.0.0.1:PORT/some:1
hangs 'GET HEAD' -o type=cacheonly -f context/here
